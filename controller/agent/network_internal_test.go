package agent

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOriginsHavePortsAndNoPaths(t *testing.T) {
	for text, want := range map[string]string{
		"https://api.anthropic.com/v1?key=x": "https://api.anthropic.com:443",
		"http://Tools.NS.svc:8080/mcp":       "http://tools.ns.svc:8080",
		"http://[::1]/":                      "http://[::1]:80",
		"":                                   "",
		"nonsense":                           "",
	} {
		require.Equal(t, want, origin(text), text)
	}
}

func FuzzOriginsAreURLs(f *testing.F) {
	f.Add("http://tools.ns.svc:8080/mcp")
	f.Fuzz(func(t *testing.T, text string) {
		o := origin(text)
		require.NotContains(t, o, " ")
		if o == "" {
			return
		}
		u, err := url.Parse(o)
		require.NoError(t, err)
		require.False(t, strings.Contains(o, "?") || u.User != nil || u.Path != "")
	})
}
