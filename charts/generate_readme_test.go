package charts

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// TestGeneratedReadmes holds the table between <!-- values --> and
// <!-- /values --> to the comments of the values it lists.
func TestGeneratedReadmes(t *testing.T) {
	requireTable(t, "README.md", read(t, "common/values.yaml"))
	for _, server := range servers {
		own, _, found := strings.Cut(read(t, filepath.Join(server, "values.yaml")), commonValues)
		require.True(t, found, server)
		requireTable(t, filepath.Join(server, "README.md"), own)
	}
	for _, chart := range others {
		requireTable(t, filepath.Join(chart, "README.md"), read(t, filepath.Join(chart, "values.yaml")))
	}
}

func requireTable(t *testing.T, path, values string) {
	t.Helper()
	const begin, end = "<!-- values -->\n", "<!-- /values -->"
	head, rest, found := strings.Cut(read(t, path), begin)
	require.True(t, found, "%s has no %s", path, begin)
	_, tail, found := strings.Cut(rest, end)
	require.True(t, found, "%s has no %s", path, end)
	var document yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(values), &document))
	var b table
	b.add(t, "", document.Content[0])
	requireGolden(t, path, head+begin+b.String()+end+tail)
}

// table says what each value does. A value without a comment shares that of the
// one before it.
type table []row

type row struct {
	parent           string // of the values
	values, defaults []string
	meaning          string
}

func (b *table) add(t *testing.T, parent string, mapping *yaml.Node) {
	t.Helper()
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		name := parent + key.Value
		switch meaning := strings.TrimPrefix(key.HeadComment, "# "); {
		case meaning != "":
			*b = append(*b, row{parent, []string{name}, []string{defaultOf(t, value)}, meaning})
		case value.Kind == yaml.MappingNode && len(value.Content) > 0:
			b.add(t, name+".", value)
		default:
			require.True(t, len(*b) > 0 && (*b)[len(*b)-1].parent == parent, "no comment says what value %s does", name)
			last := &(*b)[len(*b)-1]
			last.values, last.defaults = append(last.values, name), append(last.defaults, defaultOf(t, value))
		}
	}
}

// defaultOf is a value as --set-json takes it, and nothing if it is empty.
func defaultOf(t *testing.T, value *yaml.Node) string {
	t.Helper()
	var v any
	require.NoError(t, value.Decode(&v))
	text, err := json.Marshal(v)
	require.NoError(t, err)
	if out := strings.Trim(string(text), `"`); out != "" && out != "[]" && out != "{}" {
		return "`" + out + "`"
	}
	return ""
}

func (b *table) String() string {
	var out strings.Builder
	out.WriteString("| value | default | what it does |\n|---|---|---|\n")
	for _, r := range *b {
		defaults := strings.Trim(strings.Join(r.defaults, ", "), ", ")
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", strings.Join(r.values, "`, `"), defaults, strings.ReplaceAll(r.meaning, "|", `\|`))
	}
	return out.String()
}
