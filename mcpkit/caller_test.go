package mcpkit_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestHeaderText(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"kagent/troubleshooter":  "kagent/troubleshooter",
		"100% é":                 "100%25%20%C3%A9",
		"a\r\nImpersonate-User:": "a%0D%0AImpersonate-User:",
		strings.Repeat("x", 300): strings.Repeat("x", 256),
		strings.Repeat("é", 300): strings.Repeat("%C3%A9", 42) + "%C3",
	} {
		require.Equal(t, want, mcpkit.HeaderText(text), text)
	}
}

func FuzzHeaderText(f *testing.F) {
	f.Add("run 7\r\n\x00é%zz")
	f.Fuzz(func(t *testing.T, text string) {
		out := mcpkit.HeaderText(text)
		require.LessOrEqual(t, len(out), 256)
		require.NotRegexp(t, `[^!-~]`, out)
		back, err := url.PathUnescape(out)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(text, back), "%q is not the beginning of %q", back, text)
	})
}
