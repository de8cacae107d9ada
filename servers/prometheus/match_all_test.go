package prometheus

import (
	"testing"

	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestMatchersThatSelectNothing(t *testing.T) {
	for text, want := range map[string]bool{
		`a="x"`: false, `a=""`: false, `a=~"x"`: false, `a=~"x.*"`: false, `a=~".*x"`: false, `a=~"x|y"`: false, `a=~"[0-9]+"`: false, `a=~"(a*)+"`: false,
		`a=~"Core.*|Edge.*"`: false, `a=~".*(Down|Lost)"`: false, `a=~"shop-.*"`: false, `a=~"[A-F].*"`: false, `a=~"critical|warning"`: false, `a=~"[^A-Z]"`: false,
		`a!="x"`: true, `a!~"x"`: true, `a=~".*"`: true, `a=~".+"`: true, `a=~"^.*$"`: true, `a=~"(.*)"`: true, `a=~"x|.*"`: true, `a=~"..*"`: true,
		`a=~".*.*"`: true, `a=~"x?.*"`: true, `a=~"(?s).*"`: true, `a=~"[^x]*"`: true, `a=~"\\S+"`: true, `a=~"\\w+"`: true, `a=~"(.+)?"`: true,
		`a=~"(.|x)*"`: true, `a=~".{1,}"`: true, `a=~"[A-Za-z]+"`: true, `a=~"(.|\n)*"`: true, `a=~"[^x]*|x.*"`: true, `a=~".*|foo"`: true, `a=~"[A-Z].*|[a-z].*"`: true,
		`a=~"[A-M].*|[N-Z].*"`: true, `a=~"(?i)[a-z].*"`: true, `a=~"...+"`: true, `a=~".{1,50}"`: true, `a=~"[a-z-]+"`: true, `a=~"\\pL.*"`: true,
	} {
		ms, err := parseMatchers(text)
		require.NoError(t, err, text)
		require.Equal(t, want, selectsNothing(ms[0]), text)
	}
}

// universal are expressions that match all that is not empty, each in its way.
var universal = []string{`.*`, `.+`, `(.|\n)*`, `[^x]*|.*x.*`, `(?s).+`, `[\s\S]*`, `\PN*|.*`, `[^q].*|q.*`, `\D*|.*\d.*`, `.|..|...+`, `(?U).*`, `(?:a|[^a])+`}

// wrapped are ways to write an expression that leave it universal.
var wrapped = []struct{ before, after string }{
	{"(", ")"}, {"(?:", ")*"}, {"(?:", ")+?"}, {"^", ""}, {"(?:", ")$"}, {"(?i)", ""}, {"foo|", ""}, {"", "|foo"}, {"(?:", "){1,3}"},
	{"x*(?:", ")"}, {"(?:", ")y?"}, {`\A(?:`, `)\z`}, {"(?P<n>", ")"}, {"(?m)^(?:", ")$"},
}

// Whatever is built so that it matches everything is refused, alone or together.
func FuzzMatchersForEverything(f *testing.F) {
	for i := range universal {
		f.Add([]byte{byte(i)}, []byte{byte(i + 1), 3, 8, byte(i)})
	}
	for i := range wrapped {
		f.Add([]byte{0, byte(i)}, []byte{3, byte(i), byte(i + 1), byte(i + 2)})
	}
	f.Fuzz(func(t *testing.T, one, other []byte) {
		var ms labels.Matchers
		for name, how := range map[string][]byte{"alertname": one, "severity": other} {
			if len(how) == 0 {
				continue
			}
			text := universal[int(how[0])%len(universal)]
			for _, b := range how[1:min(len(how), 8)] {
				w := wrapped[int(b)%len(wrapped)]
				text = w.before + "(?:" + text + ")" + w.after
			}
			m, err := labels.NewMatcher(labels.MatchRegexp, name, text)
			if err != nil {
				return // nested too deeply, or a group named twice: nobody can write it
			}
			ms = append(ms, m)
		}
		require.True(t, mutesAnything(ms), "%s", ms)
		require.False(t, mutesAnything(append(ms, &labels.Matcher{Type: labels.MatchEqual, Name: "area", Value: "core"})), "%s", ms)
	})
}

func TestASilenceOfAllThatIsHeld(t *testing.T) {
	one, two := heldAlert{labels: model.LabelSet{"alertname": "One"}}, heldAlert{labels: model.LabelSet{"alertname": "Two"}}
	require.True(t, mutesAll([]heldAlert{one, two}, []heldAlert{one, two}))
	require.False(t, mutesAll([]heldAlert{one, two}, []heldAlert{one}))
	require.False(t, mutesAll([]heldAlert{one, one}, []heldAlert{one, one}), "one name is named")
	require.False(t, mutesAll(nil, nil))
}
