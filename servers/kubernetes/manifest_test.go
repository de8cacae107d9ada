package kubernetes

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseDocuments(t *testing.T) {
	for text, want := range map[string]string{
		`{"a": "\ud83d\ude00", "b": 9007199254740993}`:                     `[{"a":"😀","b":9007199254740993}]`,
		"a: 0644\nb: yes\nc: 2026-01-02\nd: 1.5\ne: ~\nf: true\n8080: g\n": `[{"8080":"g","a":420,"b":"yes","c":"2026-01-02","d":1.5,"e":null,"f":true}]`,
		"x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: 4}]}":     `[{"x":{"a":1,"b":2},"y":{"a":1,"b":3},"z":{"a":1,"b":2,"c":4}}]`,
		"---\na: 1\n---\n# nothing\n---\nb: 2\n...\n":                      `[{"a":1},{"b":2}]`,
		"a: 18446744073709551615":                                          `[{"a":18446744073709552000}]`,
	} {
		docs, err := parseDocuments("test", text)
		require.NoError(t, err, text)
		raw, err := json.Marshal(docs)
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
	}
	for text, want := range map[string]string{
		"a: !!binary aGk=":       "invalid: test, line 1: the tag !!binary has no meaning here",
		"a: !secret x":           "invalid: test, line 1: the tag !secret has no meaning here",
		"a: .nan":                "invalid: test, line 1: .nan is not a number JSON knows",
		"? [a]\n: b":             "invalid: test, line 1: a key must be a string",
		"a: 1\n<<: 2":            "invalid: test, line 2: << must name a mapping",
		"a: &a [*a]":             "invalid: test, line 1: nested more than 100 deep",
		"x: {a: 1}\ny: {~: 1}\n": "invalid: test, line 2: a key must be a string",
	} {
		_, err := parseDocuments("test", text)
		require.EqualError(t, err, want, text)
	}
}

func FuzzManifest(f *testing.F) {
	for _, seed := range []string{webDeployment, "a: &a [*a]", "---\n---", `{"a":1}`, "x: &x {a: 1}\ny: {<<: *x}", "{apiVersion: v1, kind: List, items: [{kind: List}]}", "? a\n: b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		docs, err := parseManifest("test", text)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(docs), manifestObjects)
		for _, d := range docs {
			raw, err := json.Marshal(d.Object)
			require.NoError(t, err)
			again, err := parseDocument("test", string(raw))
			require.NoError(t, err)
			require.Equal(t, d.Object, again)
			p := &planned{change: change{object: d.Object}}
			for _, line := range difference(t.Context(), p, &d.Unstructured) {
				require.NotContains(t, line, "\n")
			}
		}
	})
}
