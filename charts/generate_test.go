package charts

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/servers/helm"
	"github.com/toolcrib/toolcrib/servers/kubernetes"
	"github.com/toolcrib/toolcrib/servers/prometheus"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "rewrite generated files")

// grants are what a chart knows of a server's tools in one configuration.
type grants struct {
	Tools        []string      `yaml:"tools"`
	Rules        []mcpkit.Rule `yaml:"rules"`
	ClusterRules []mcpkit.Rule `yaml:"clusterRules"`
	Limited      []string      `yaml:"limited"` // need some of ClusterRules
	Denied       []string      `yaml:"denied"`  // need nothing else
}

// configurations are the servers' tools by the file that lists them: a flag can
// add a tool or give it another name.
var configurations = map[string]func(*mcpkit.Toolset){
	"kubernetes/files/read.yaml":           kubernetesTools(kubernetes.Config{}),
	"kubernetes/files/write.yaml":          kubernetesTools(kubernetes.Config{}),
	"kubernetes/files/write-from-url.yaml": kubernetesTools(kubernetes.Config{AllowedURLHosts: []string{"example.com"}}),
	"prometheus/files/read.yaml":           prometheusTools(prometheus.NamesToolcrib),
	"prometheus/files/read-kagent.yaml":    prometheusTools(prometheus.NamesKagent),
	"prometheus/files/write.yaml":          prometheusTools(prometheus.NamesToolcrib),
	"helm/files/read.yaml":                 helmTools(helm.Config{}),
	"helm/files/write.yaml":                helmTools(helm.Config{}),
	"helm/files/write-repo-add.yaml":       helmTools(helm.Config{AllowedHosts: []string{"example.com"}}),
}

func kubernetesTools(c kubernetes.Config) func(*mcpkit.Toolset) {
	return func(ts *mcpkit.Toolset) { kubernetes.Register(ts, kubernetes.New(c)) }
}

func prometheusTools(n prometheus.Names) func(*mcpkit.Toolset) {
	return func(ts *mcpkit.Toolset) { prometheus.Register(ts, prometheus.New(prometheus.Config{Names: n})) }
}

func helmTools(c helm.Config) func(*mcpkit.Toolset) {
	return func(ts *mcpkit.Toolset) { helm.Register(ts, helm.New(c)) }
}

func TestGeneratedGrants(t *testing.T) {
	for path, register := range configurations {
		t.Run(path, func(t *testing.T) {
			ts := mcpkit.NewToolset()
			register(ts)
			var text bytes.Buffer
			text.WriteString("# Written by make generate from the tools themselves.\n")
			e := yaml.NewEncoder(&text)
			e.SetIndent(2)
			require.NoError(t, e.Encode(grantsOf(ts, accessOf(path))))
			requireGolden(t, path, text.String())
		})
	}
}

// accessOf is the access that a file's name begins with.
func accessOf(path string) mcpkit.Access {
	if name := filepath.Base(path); name[:len("read")] == "read" {
		return mcpkit.AccessRead
	}
	return mcpkit.AccessWrite
}

func grantsOf(ts *mcpkit.Toolset, a mcpkit.Access) grants {
	g := grants{Limited: []string{}, Denied: []string{}}
	g.Rules, g.ClusterRules = byScope(ts.Rules(a))
	for _, tool := range ts.Tools(a) {
		g.Tools = append(g.Tools, tool.Name)
		inside, outside := byScope(tool.Rules)
		switch outside = slices.DeleteFunc(outside, isEverybodys); {
		case len(outside) == 0:
		case len(inside) == 0:
			g.Denied = append(g.Denied, tool.Name)
		default:
			g.Limited = append(g.Limited, tool.Name)
		}
	}
	return g
}

// byScope parts rules into what a Role can grant and what only a ClusterRole
// can.
func byScope(rules []mcpkit.Rule) (inside, outside []mcpkit.Rule) {
	inside, outside = []mcpkit.Rule{}, []mcpkit.Rule{}
	for _, r := range rules {
		wide, narrow := r, r
		wide.Resources, narrow.Resources = nil, nil
		for _, resource := range r.Resources {
			if slices.Contains(clusterScoped, resourceOf(r, resource)) {
				wide.Resources = append(wide.Resources, resource)
			} else {
				narrow.Resources = append(narrow.Resources, resource)
			}
		}
		if len(wide.Resources)+len(wide.URLs) > 0 {
			outside = append(outside, wide)
		}
		if len(narrow.Resources) > 0 {
			inside = append(inside, narrow)
		}
	}
	return inside, outside
}

// isEverybodys reports whether r asks about the asker alone, which the cluster
// lets every user do by its role system:basic-user.
func isEverybodys(r mcpkit.Rule) bool {
	return slices.Equal(r.Groups, []string{"authorization.k8s.io"})
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
	require.Equal(t, string(want), got, "%s is not current; go test -update rewrites it", path)
}
