package kubernetes

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// foreign runs one of the npm programs of testbed/clients under the Node.js
// that is pinned with them.
func foreign(t *testing.T, script string, args ...string) ([]byte, error) {
	t.Helper()
	modules, err := filepath.Abs("../../testbed/clients/node_modules")
	require.NoError(t, err)
	node := filepath.Join(modules, "node", "bin", "node")
	require.FileExists(t, node, "run make clients first")
	cmd := exec.Command(node, append([]string{filepath.Join(modules, script)}, args...)...)
	cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(node)+":"+os.Getenv("PATH"))
	return cmd.CombinedOutput()
}

// The scenarios of the official conformance suite that need no tool made for it.
func TestConformance(t *testing.T) {
	t.Parallel()
	p := start(t, "--kubeconfig", kubeconfig())
	for _, scenario := range []string{
		"server-initialize", "ping", "tools-list", "dns-rebinding-protection", "caching",
		"http-header-validation", "input-required-result-unsupported-methods", "server-stateless",
	} {
		t.Run(scenario, func(t *testing.T) {
			out, err := foreign(t, "@modelcontextprotocol/conformance/dist/index.js", "server",
				"--url", p.URL, "--scenario", scenario, "--expected-failures", "testdata/conformance.yaml")
			require.NoError(t, err, string(out))
			require.Contains(t, string(out), "Passed: ")
		})
	}
}

func TestInspectorOverHTTP(t *testing.T) {
	t.Parallel()
	p := start(t, "--kubeconfig", kubeconfig())
	requireInspected(t, p.URL, "--transport", "http")
}

func TestInspectorOverStdio(t *testing.T) {
	t.Parallel()
	requireInspected(t, builtBinary(t), "--kubeconfig", kubeconfig())
}

// requireInspected has the MCP Inspector call a tool of the server at target.
func requireInspected(t *testing.T, target string, args ...string) {
	t.Helper()
	args = append([]string{"--cli", target}, args...)
	out, err := foreign(t, "@modelcontextprotocol/inspector/clients/launcher/build/index.js",
		append(args, "--method", "tools/call", "--tool-name", "k8s_get_resources",
			"--tool-arg", "resource_type=ns", "--tool-arg", "resource_name=kube-system", "--tool-arg", "output=names")...)
	require.NoError(t, err, string(out))
	var answer struct {
		StructuredContent GetResourcesOut `json:"structuredContent"`
	}
	start := 0
	for i := range out { // the server's log, if any, comes before the answer
		if out[i] == '{' && json.Unmarshal(out[i:], &answer) == nil {
			start = i
			break
		}
	}
	require.Equal(t, [][]string{{"kube-system"}}, answer.StructuredContent.Rows, string(out[start:]))
}
