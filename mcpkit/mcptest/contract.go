package mcptest

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var update = flag.Bool("update", false, "rewrite golden files")

// MaxReadList is the most that the read tools may cost a model: bytes of name,
// description and input schema together.
const MaxReadList = 12 << 10

// toolName is <system>_<verb>_<noun>, the noun left out where the verb says it.
var toolName = regexp.MustCompile(`^[a-z][a-z0-9]*(_[a-z0-9]+)+$`)

// Contract holds a server's live tools/list, in each access mode, to what every
// Toolcrib server promises, and to the golden files testdata/tools-ACCESS.json;
// and the table between <!-- tools --> and <!-- /tools --> in README.md, where
// there is one, to the tools. go test -update rewrites both. register must not
// need the backend. The read role may hold no Secret, unless secrets are among
// kept: the resources that this backend keeps its own records in.
func Contract(t *testing.T, register func(*mcpkit.Toolset), kept ...string) {
	t.Run("readme", func(t *testing.T) {
		ts := mcpkit.NewToolset()
		register(ts)
		requireTable(t, "README.md", ts.Markdown(mcpkit.AccessAll))
	})
	for _, access := range []mcpkit.Access{mcpkit.AccessRead, mcpkit.AccessWrite} {
		t.Run(string(access), func(t *testing.T) {
			ts := mcpkit.NewToolset()
			register(ts)
			session := Connect(t, ts, mcpkit.Options{Name: "contract", Access: access}, nil)
			tools := session.tools()
			for _, tool := range tools {
				t.Run(tool.Name, func(t *testing.T) {
					for _, fault := range faults(tool, access) {
						t.Error(fault)
					}
					answer := session.Call(tool.Name, map[string]any{"no_such_argument": 1})
					require.True(t, answer.IsError)
					require.Contains(t, answer.Text, `unknown argument "no_such_argument"`)
				})
			}
			if access == mcpkit.AccessRead {
				require.LessOrEqual(t, Cost(tools), MaxReadList, "bytes of name, description and input schema")
				for _, fault := range writes(ts.Rules(access), kept...) {
					t.Error(fault)
				}
			}
			requireSameList(t, register, access)
			requireGolden(t, filepath.Join("testdata", "tools-"+string(access)+".json"), indented(t, tools))
		})
	}
}

// Cost is what a model pays for a list on every turn: bytes of name, description
// and input schema.
func Cost(tools []*mcp.Tool) int {
	n := 0
	for _, tool := range tools {
		schema, _ := json.Marshal(tool.InputSchema) // it came as JSON
		n += len(tool.Name) + len(tool.Description) + len(schema)
	}
	return n
}

// tools are what the server lists, in its order.
func (s *Session) tools() []*mcp.Tool {
	s.t.Helper()
	var out []*mcp.Tool
	for tool, err := range s.Tools(s.t.Context(), nil) {
		require.NoError(s.t, err)
		out = append(out, tool)
	}
	return out
}

// faults are the promises a listed tool breaks.
func faults(tool *mcp.Tool, access mcpkit.Access) []string {
	var out []string
	say := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if !toolName.MatchString(tool.Name) {
		say("name is not <system>_<verb>_<noun> in snake case")
	}
	if tool.Title == "" || tool.Description == "" {
		say("title or description is missing")
	}
	out = append(out, hintFaults(tool.Annotations, access)...)
	for path, p := range properties("", schemaOf(tool.InputSchema)) {
		if p.Description == "" {
			say("argument %s has no description", path)
		}
		if p.Types != nil {
			say("argument %s has a union of types, %v", path, p.Types)
		}
	}
	output := schemaOf(tool.OutputSchema)
	if output == nil {
		say("output schema is missing")
		return out
	}
	lists := false
	for path, p := range properties("", output) {
		lists = lists || p.Type == "array"
		if slices.Contains(p.Types, "null") {
			say("result %s may be null", path)
		}
	}
	if lists && output.Properties["truncated"] == nil {
		say("result holds lists but cannot say that it is truncated; embed mcpkit.Left")
	}
	slices.Sort(out)
	return out
}

func hintFaults(a *mcp.ToolAnnotations, access mcpkit.Access) []string {
	if a == nil || a.DestructiveHint == nil || a.OpenWorldHint == nil {
		return []string{"annotations are missing"}
	}
	var out []string
	if a.ReadOnlyHint != (access == mcpkit.AccessRead) {
		out = append(out, fmt.Sprintf("read-only hint is %v in the %s list", a.ReadOnlyHint, access))
	}
	if a.ReadOnlyHint && *a.DestructiveHint {
		out = append(out, "a read tool is marked destructive")
	}
	if a.ReadOnlyHint && !a.IdempotentHint {
		out = append(out, "a read tool is not marked idempotent")
	}
	return out
}

// properties are all properties below s by path, elements of lists included.
func properties(path string, s *jsonschema.Schema) map[string]*jsonschema.Schema {
	out := map[string]*jsonschema.Schema{}
	if s == nil {
		return out
	}
	for name, p := range s.Properties {
		at := strings.TrimPrefix(path+"."+name, ".")
		out[at] = p
		for k, v := range properties(at, p) {
			out[k] = v
		}
	}
	for k, v := range properties(path+"[]", s.Items) {
		out[k] = v
	}
	return out
}

func schemaOf(v any) *jsonschema.Schema {
	raw, err := json.Marshal(v)
	if err != nil || string(raw) == "null" {
		return nil
	}
	var s jsonschema.Schema
	if json.Unmarshal(raw, &s) != nil {
		return nil
	}
	return &s
}

// writes are the grants that have no place in a role that only reads.
func writes(rules []mcpkit.Rule, kept ...string) []string {
	var out []string
	for _, r := range rules {
		for _, verb := range r.Verbs {
			review := verb == "create" && slices.Equal(r.Groups, []string{"authorization.k8s.io"})
			if !slices.Contains([]string{"get", "list", "watch"}, verb) && !review {
				out = append(out, fmt.Sprintf("the read role may %s %v", verb, r.Resources))
			}
		}
		for _, name := range slices.Concat(r.Groups, r.Resources) {
			if name == "*" || strings.HasPrefix(name, "*/") || name == "secrets" && !slices.Contains(kept, name) {
				out = append(out, fmt.Sprintf("the read role grants %q", name))
			}
		}
	}
	return out
}

// requireSameList starts two servers: prompt caches pay off only when the list
// is the same to the byte.
func requireSameList(t *testing.T, register func(*mcpkit.Toolset), access mcpkit.Access) {
	t.Helper()
	first, second := wireList(t, register, access), wireList(t, register, access)
	require.NotEmpty(t, first)
	require.Equal(t, first, second, "tools/list differs between two starts")
}

// wireList is the answer to tools/list as it came over the wire.
func wireList(t *testing.T, register func(*mcpkit.Toolset), access mcpkit.Access) string {
	t.Helper()
	ts := mcpkit.NewToolset()
	register(ts)
	clientEnd, serverEnd := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(ts, mcpkit.Options{Name: "contract", Access: access}).MCP().Connect(t.Context(), serverEnd, nil)
	require.NoError(t, err)
	var wire bytes.Buffer
	session := Attach(t, &mcp.LoggingTransport{Transport: clientEnd, Writer: &wire}, "", nil)
	_, err = session.ListTools(t.Context(), nil)
	require.NoError(t, err)
	require.NoError(t, session.Close())
	_, list, _ := strings.Cut(wire.String(), `"tools":[`)
	list, _, _ = strings.Cut(list, "\n")
	return list
}

func indented(t *testing.T, tools []*mcp.Tool) string {
	t.Helper()
	out, err := json.MarshalIndent(tools, "", "  ")
	require.NoError(t, err)
	return string(out) + "\n"
}

// requireTable holds the generated part of a document to what it should be.
func requireTable(t *testing.T, path, table string) {
	t.Helper()
	const begin, end = "<!-- tools -->\n", "<!-- /tools -->"
	old, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	require.NoError(t, err)
	head, rest, found := strings.Cut(string(old), begin)
	if !found {
		return
	}
	_, tail, found := strings.Cut(rest, end)
	require.True(t, found, "%s has no %s", path, end)
	requireGolden(t, path, head+begin+table+end+tail)
}

func requireGolden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "go test -update writes it")
	require.Equal(t, string(want), got, "%s is not what the tools say; go test -update rewrites it", path)
}
