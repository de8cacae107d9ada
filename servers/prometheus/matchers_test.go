package prometheus

import (
	"errors"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestMatchersAsModelsWriteThem(t *testing.T) {
	for text, want := range map[string]string{
		`severity="critical"`:                `severity="critical"`,
		`{severity="critical", team=~"a|b"}`: `severity="critical", team=~"a|b"`,
		`severity=critical,team!~"x.*"`:      `severity="critical", team!~"x.*"`,
		" a != \"b\" ,\n c=\"d\"":            `a!="b", c="d"`,
		`summary="say \"hi\", {all}"`:        `summary="say \"hi\", {all}"`,
		`"label with space"="1"`:             `"label with space"="1"`,
		`path="/a b/=c"`:                     `path="/a b/=c"`,
		"":                                   "",
	} {
		ms, err := parseMatchers(text)
		require.NoError(t, err, text)
		require.Equal(t, want, matchersText(ms))
		back, err := silenceMatchers(apiMatchers(ms))
		require.NoError(t, err)
		require.Equal(t, want, matchersText(back))
	}
}

func FuzzMatchers(f *testing.F) {
	for _, seed := range []string{`severity="critical"`, `{a=~"b|c", d!~"e"}`, `a=b,c=d`, `"ä b"="c"`, `a="`, `{`, `a=~"(.*)+"`, `a=~"\\"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ms, err := parseMatchers(text)
		if err != nil {
			var known *mcpkit.Error
			require.True(t, errors.As(err, &known))
			require.Equal(t, mcpkit.Invalid, known.Kind)
			return
		}
		back, err := silenceMatchers(apiMatchers(ms))
		require.NoError(t, err)
		require.Equal(t, ms.Matches(model.LabelSet{"a": "b"}), back.Matches(model.LabelSet{"a": "b"}))
	})
}
