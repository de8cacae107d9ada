package mcpkit

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzRedactText(f *testing.F) {
	for _, c := range disguised {
		f.Add(c.in)
	}
	for _, s := range harmless {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once := testRedactor.Text(s)
		require.True(t, utf8.ValidString(once))
		require.Equal(t, once, testRedactor.Text(once), "redacting twice")
	})
}

func FuzzRedactNode(f *testing.F) {
	for _, c := range disguised {
		b, err := json.Marshal(map[string]any{"kind": "List", "a": []string{c.in, "--password", c.in}, "token": c.in, "data": map[string]string{"x": c.in}})
		require.NoError(f, err)
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseNode(s)
		if err != nil {
			return
		}
		testRedactor.node(n)
		once, _ := n.MarshalJSON()
		require.True(t, json.Valid(once))
		testRedactor.node(n)
		twice, _ := n.MarshalJSON()
		require.Equal(t, string(once), string(twice), "redacting twice")
	})
}

// FuzzRedactPlanted hides a secret in a known place among foreign text, and
// looks for it in what comes out.
func FuzzRedactPlanted(f *testing.F) {
	const secret = "pl4nted-Zq7"
	for i, c := range disguised {
		f.Add(c.in, c.in, byte(i), byte(i%5))
	}
	f.Fuzz(func(t *testing.T, before, after string, where, depth byte) {
		if strings.Contains(Clean(before+after), secret) {
			return
		}
		lines := func(s string) string { return before + "\n" + s + "\n" + after }
		inText := []string{
			lines("DB_PASSWORD=" + secret),
			lines("db_password: " + secret),
			lines("x postgres://app:" + secret + "@db:5432/x y"),
			lines(`x {"client_secret":"` + secret + `"} y`),
			lines("-----BEGIN PRIVATE KEY-----\n" + secret + "\n-----END PRIVATE KEY-----"),
			lines("- name: API_TOKEN\n  value: " + secret),
			lines("app --password " + secret + " --x"),
			lines("Authorization: Bearer " + secret),
		}
		out := testRedactor.Text(inText[int(where)%len(inText)])
		require.NotContains(t, out, secret, "in text")

		var tree any = []any{
			map[string]any{"kind": "Secret", "data": map[string]any{before: b64(secret)}, "z": after},
			map[string]any{"kind": "Secret", "stringData": map[string]any{"k": map[string]any{after: secret}}},
			map[string]any{"env": []any{before, map[string]any{"name": "DB_PASSWORD", "value": secret}}},
			map[string]any{"password": secret, "x": before},
			map[string]any{"items": []any{map[string]any{"data": map[string]any{"x": b64(secret)}}}, "kind": "SecretList"},
		}[int(where)%5]
		for i := range int(depth % 7) {
			switch i % 3 {
			case 0:
				tree = map[string]any{"spec": tree, "y": after}
			case 1:
				tree = []any{before, tree}
			case 2:
				b, err := json.Marshal(tree)
				require.NoError(t, err)
				tree = map[string]any{"annotation": string(b)}
			}
		}
		n, err := toNode(map[string]any{"result": tree})
		require.NoError(t, err)
		testRedactor.node(n)
		b, _ := n.MarshalJSON()
		require.NotContains(t, string(b), secret, "in a tree")
		require.NotContains(t, string(b), b64(secret), "in a tree, encoded")
	})
}

func FuzzClean(f *testing.F) {
	f.Add("a\x1b[31mred\x1b]0;t\x07\u202e\U000E0041\xff\x9b\u009b1m")
	f.Fuzz(func(t *testing.T, s string) {
		out := Clean(s)
		require.True(t, utf8.ValidString(out))
		for _, r := range out {
			require.False(t, r < ' ' && r != '\n' && r != '\t' || r == 0x7f || invisible(r), "%U", r)
		}
		require.Equal(t, out, Clean(out))
	})
}
