package house

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	root = "../.."
	self = "github.com/toolcrib/toolcrib/"
)

// forbidden are imports that code below a folder must do without. Tests may do
// what they like.
var forbidden = []struct{ folder, imports, reason string }{
	{"mcpkit", "k8s.io/", "argocd needs an older Kubernetes than the others, and both share the kit"},
	{"mcpkit", "sigs.k8s.io/", "argocd needs an older Kubernetes than the others, and both share the kit"},
	{"mcpkit", self + "servers/", "the kit never names a backend"},
	{"mcpkit", "google.golang.org/grpc", "5 MB in every binary"},
	{"mcpkit", "os/exec", "shelling out is what we refuse"},
	{"servers", "os/exec", "servers speak to their system through its Go client"},
	{"api", "k8s.io/api", "agents do without the types of pods: docs/decisions/025"},
	{"api", "k8s.io/client-go", "the types are used with any client"},
	{"api", "sigs.k8s.io/controller-runtime", "the types are used with any client"},
	{"agentcore", "text/template", "it calls methods by name, so that the linker keeps all of them: 9 MB; agentcore/declared fills in templates"},
	{"agentcore", "html/template", "it calls methods by name, so that the linker keeps all of them: 9 MB"},
	{"agentcore", self + "servers/", "agentcore meets servers over MCP only"},
	{"controller", self + "servers/", "the controller meets servers over MCP only"},
	{"controller", self + "mcpkit", "the kit is for servers; the controller is a client of theirs"},
	{"controller", self + "agentcore", "an agent knows its controller by the configuration it is given, and nothing else"},
	{"agentcore", self + "controller", "an agent knows its controller by the configuration it is given, and nothing else"},
	{"agentcore", "sigs.k8s.io/controller-runtime", "an agent's binary stays small"},
	{"agentcore", "github.com/openai/openai-go", "19 MB in every agent: docs/decisions/026"},
	{"controller", "os/exec", "shelling out is what we refuse"},
}

// source is one Go file that is no test.
type source struct {
	path string // below the root, with slashes
	file *ast.File
}

// sources parses every Go file of the repository but tests and test data.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name := d.Name(); d.IsDir() && path != root && (name == "testdata" || name == "node_modules" || name == "bin" || strings.HasPrefix(name, ".")) {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments|parser.SkipObjectResolution)
		rel, _ := filepath.Rel(root, path) // path is below root
		out = append(out, source{filepath.ToSlash(rel), file})
		return err
	}))
	require.NotEmpty(t, out)
	return out
}

func (s source) imports() []string {
	var out []string
	for _, i := range s.file.Imports {
		path, _ := strconv.Unquote(i.Path.Value) // it has been parsed
		out = append(out, path)
	}
	return out
}

func below(path, folder string) bool { return strings.HasPrefix(path, folder+"/") }

func TestForbiddenImports(t *testing.T) {
	for _, s := range sources(t) {
		for _, path := range s.imports() {
			for _, rule := range forbidden {
				if below(s.path, rule.folder) && strings.HasPrefix(path+"/", strings.TrimSuffix(rule.imports, "/")+"/") && path != "text/template/parse" {
					t.Errorf("%s imports %s: %s", s.path, path, rule.reason)
				}
			}
		}
	}
}

func TestNoServerImportsAnother(t *testing.T) {
	for _, s := range sources(t) {
		server, _, ok := strings.Cut(strings.TrimPrefix(s.path, "servers/"), "/")
		if !ok || !below(s.path, "servers") {
			continue
		}
		for _, path := range s.imports() {
			if strings.HasPrefix(path, self+"servers/") && !strings.HasPrefix(path+"/", self+"servers/"+server+"/") {
				t.Errorf("%s imports %s: what two servers share belongs into mcpkit", s.path, path)
			}
		}
	}
}

// TestTheEnvironmentIsReadInMain keeps configuration in one place, where --help
// can tell about it.
func TestTheEnvironmentIsReadInMain(t *testing.T) {
	for _, s := range sources(t) {
		if s.path == "mcpkit/main.go" || s.path == "agentcore/cmd/agentcore/main.go" || !below(s.path, "mcpkit") && !below(s.path, "servers") && !below(s.path, "agentcore") && !below(s.path, "controller") {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if pkg, ok := call.X.(*ast.Ident); ok && pkg.Name == "os" {
				switch call.Sel.Name {
				case "Getenv", "LookupEnv", "Environ", "ExpandEnv":
					t.Errorf("%s reads the environment with os.%s; only mcpkit.Main and agentcore's main.go do", s.path, call.Sel.Name)
				}
			}
			return true
		})
	}
}

func TestEveryPackageSaysWhyItExists(t *testing.T) {
	documented := map[string]bool{}
	for _, s := range sources(t) {
		dir := filepath.Dir(s.path)
		documented[dir] = documented[dir] || s.file.Doc != nil
	}
	for dir, ok := range documented {
		if !ok {
			t.Errorf("%s has no package comment", dir)
		}
	}
}

func TestToolNamesAreUniqueAcrossServers(t *testing.T) {
	lists, err := filepath.Glob(root + "/servers/*/testdata/tools-*.json")
	require.NoError(t, err)
	owner := map[string]string{}
	for _, path := range lists {
		raw, err := os.ReadFile(path)
		require.NoError(t, err)
		var tools []struct{ Name string }
		require.NoError(t, json.Unmarshal(raw, &tools), path)
		for _, tool := range tools {
			require.NotContains(t, owner, tool.Name, "%s is in %s and in %s", tool.Name, owner[tool.Name], path)
			owner[tool.Name] = path
		}
	}
}
