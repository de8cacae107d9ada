package helm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/release"
)

func rendered2(manifest, hook string) *release.Release {
	r := &release.Release{Manifest: manifest}
	if hook != "" {
		r.Hooks = []*release.Hook{{Manifest: hook}}
	}
	return r
}

const outlined = `{kind: Secret, metadata: {name: a}, data: {fixed: x, random: "1", list: [1, 2]}}`

func TestOutlineBindsWhatIsRenderedAlike(t *testing.T) {
	t.Parallel()
	other := strings.Replace(outlined, `"1"`, `"2"`, 1)
	o, err := newOutline(rendered2(outlined, outlined), rendered2(other, outlined))
	require.NoError(t, err)
	require.Equal(t, []string{"Secret/a data.random"}, o.loose)
	require.True(t, o.fits(rendered2(strings.Replace(outlined, `"1"`, `"3"`, 1), outlined)))
	for _, changed := range []*release.Release{
		rendered2(outlined, other),
		rendered2(outlined, ""),
		rendered2(strings.Replace(outlined, "fixed: x", "fixed: y", 1), outlined),
		rendered2(strings.Replace(outlined, "fixed: x", "fixed: x, more: y", 1), outlined),
		rendered2(strings.Replace(outlined, "[1, 2]", "[1, 2, 3]", 1), outlined),
		rendered2(outlined+"\n---\n"+outlined, outlined),
	} {
		require.False(t, o.fits(changed), changed.Manifest)
	}
	same, err := newOutline(rendered2(other, outlined), rendered2(outlined, outlined))
	require.NoError(t, err)
	require.Equal(t, o.digest(), same.digest())
	require.Contains(t, o.release(rendered2(outlined, outlined)).Manifest, `"random":"(new each time)"`)
	_, err = newOutline(rendered2(outlined, ""), rendered2("", ""))
	require.ErrorContains(t, err, "another number of objects each time")
}

func FuzzOutline(f *testing.F) {
	f.Add(outlined, strings.Replace(outlined, `"1"`, `{a: b}`, 1))
	f.Add("a: [1]\n---\nb: 2", "a: {}\n---\nb: null")
	f.Fuzz(func(t *testing.T, a, b string) {
		o, err := newOutline(rendered2(a, ""), rendered2(b, ""))
		if err != nil {
			return
		}
		require.True(t, o.fits(rendered2(a, "")), "the first rendering fits")
		require.True(t, o.fits(rendered2(b, "")), "the second rendering fits")
		require.NotEmpty(t, o.digest())
	})
}

func FuzzValues(f *testing.F) {
	for _, seed := range []string{`{"a": 1}`, `"a: 1\nb: [c]"`, `"values.yaml"`, `null`, `"a: 1\na: 2"`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var v Values
		if err := v.UnmarshalJSON([]byte(raw)); err == nil {
			_ = chartValues(map[string]any(v))
		}
	})
}
