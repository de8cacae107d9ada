package toolbox

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var good = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func TestNames(t *testing.T) {
	long := strings.Repeat("x", 70)
	for _, c := range []struct {
		tools []origin
		want  []string
	}{
		{nil, []string{}},
		{[]origin{{"a/one", "get", false}, {"a/two", "set", false}}, []string{"get", "set"}},
		{[]origin{{"a/one", "get", false}, {"a/two", "get", false}}, []string{"one__get", "two__get"}},
		{[]origin{{"a/one", "get", false}, {"b/one", "get", false}}, []string{"a__one__get", "b__one__get"}},
		{[]origin{{"a/one", "get", false}, {"a/two", "get", false}, {"a/three", "one__get", false}}, []string{"a__one__get", "two__get", "three__one__get"}},
		{[]origin{{"a/x", "get.it", false}, {"a/x", "get it", false}}, []string{"get_it_6ed80c", "get_it_73e2ed"}},
		{[]origin{{"a/sre", "sre", true}, {"a/x", "ask_sre", false}}, []string{"sre__ask_sre", "x__ask_sre"}},
		{[]origin{{"a/x", long, false}}, []string{strings.Repeat("x", 57) + "_c71bd1"}},
	} {
		require.Equal(t, c.want, distinct(c.tools))
	}
}

// FuzzNames holds names to what models take, whatever servers call their tools,
// and to depend on nothing but the tools.
func FuzzNames(f *testing.F) {
	f.Add("get", "set", "a", "b", "get")
	f.Add("one__get", "get", "one", "two", "three")
	f.Add("", "\x00", "é", strings.Repeat("long", 50), "a/b")
	f.Fuzz(func(t *testing.T, a, b, server, other, c string) {
		var tools []origin
		for _, s := range []string{"n/" + server, "n/" + other, "m/" + server} {
			for _, name := range []string{a, b, c, server + "__" + a} {
				if o := (origin{s, name, false}); !slices.Contains(tools, o) {
					tools = append(tools, o)
				}
			}
			if o := (origin{s, "", true}); !slices.Contains(tools, o) {
				tools = append(tools, o)
			}
		}
		names := distinct(tools)
		byTool, seen := map[origin]string{}, map[string]bool{}
		for i, name := range names {
			require.Regexp(t, good, name)
			require.False(t, seen[name], "%q twice", name)
			seen[name], byTool[tools[i]] = true, name
		}
		slices.Reverse(tools)
		for i, name := range distinct(tools) {
			require.Equal(t, byTool[tools[i]], name)
		}
	})
}
