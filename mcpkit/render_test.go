package mcpkit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRender(t *testing.T) {
	for want, v := range map[string]any{
		"name: a\ncount: 3": struct {
			Name  string `json:"name"`
			Count int    `json:"count"`
		}{"a", 3},
		"a\tb\n1\t2\n3 4\t5":  Table{[]string{"a", "b"}, [][]string{{"1", "2"}, {"3\n4", "5"}}},
		"(no rows)":           Table{Columns: []string{"a"}, Rows: [][]string{}},
		"usage:\na\n1":        map[string]any{"usage": Table{[]string{"a"}, [][]string{{"1"}}}},
		"log:\none\ntwo":      map[string]any{"log": "one\ntwo\n"},
		"names: a, b":         map[string]any{"names": []string{"a", "b"}},
		"names:\n- a, b\n- c": map[string]any{"names": []string{"a, b", "c"}},
		"names: none":         map[string]any{"names": []string{}},
		"parts:\n- name: x\n  port: 80\n  on: \"true\"": map[string]any{"parts": []any{struct {
			Name string `json:"name"`
			Port int    `json:"port"`
			On   string `json:"on"`
		}{"x", 80, "true"}}},
		"rows: 1\ntruncated: true\nleft_out: more": struct {
			Rows int `json:"rows"`
			Left
		}{1, Left{Truncated: true, LeftOut: "more"}},
		"": struct{ Left }{},
	} {
		n, err := toNode(v)
		require.NoError(t, err)
		require.Equal(t, want, render(n))
	}
}

func TestNodeKeepsOrderAndNumbers(t *testing.T) {
	const text = `{"z":1,"a":[12345678901234567890,0.1,true,null,"<&>"],"m":{"y":"é","b":{}}}`
	n, err := toNode(rawJSON(text))
	require.NoError(t, err)
	require.Equal(t, text, n.String())
	n.set("z", &node{kind: stringNode, text: "new"})
	n.set("last", &node{kind: literalNode, text: "true"})
	require.Equal(t, "new", n.get("z").text)
	require.Nil(t, n.get("none"))
	require.Equal(t, len(n.String()), n.size())
}

type rawJSON string

func (r rawJSON) MarshalJSON() ([]byte, error) { return []byte(r), nil }
