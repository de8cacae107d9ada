package v1alpha1_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"sigs.k8s.io/yaml"
)

// The CRDs of kagent.dev, and the objects that its own package is tested with.
// They are tried here, so that one cluster does for both groups.
const (
	kagentManifests = "../../../charts/controller/manifests"
	kagentObjects   = "../../kagent/v1alpha2/testdata"
)

// documents are the objects of a file or folder of YAML.
func documents(t *testing.T, pattern string) []map[string]any {
	t.Helper()
	files, err := filepath.Glob(pattern)
	require.NoError(t, err)
	require.NotEmpty(t, files, pattern)
	var all []map[string]any
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, document := range strings.Split(string(text), "\n---\n") {
			var object map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(document), &object))
			all = append(all, object)
		}
	}
	return all
}

// TestWhatIsWrittenForKagentIsAdmitted applies the samples, and the forms that
// kagent's documentation shows, as they stand.
func TestWhatIsWrittenForKagentIsAdmitted(t *testing.T) {
	t.Parallel()
	var files []string
	for _, file := range []string{"samples/agent.yaml", "samples/modelconfig.yaml", "documented/agents.yaml", "documented/modelconfigs.yaml", "documented/remotemcpservers.yaml"} {
		files = append(files, "-f", filepath.Join(kagentObjects, file))
	}
	out, err := cluster.Kubectl(t.Context(), append([]string{"apply", "--validate=strict"}, files...)...)
	t.Cleanup(func() { _, _ = cluster.Kubectl(context.Background(), append([]string{"delete"}, files...)...) })
	require.NoError(t, err)
	require.Equal(t, 17, strings.Count(string(out), " created\n"), string(out))

	tools := documents(t, kagentObjects+"/samples/custom-mcp-tools.yaml")[0]
	_, err = admin.try(t.Context(), object("Agent", map[string]any{"type": "Declarative", "declarative": tools}), "create", "--validate=strict", "--dry-run=server", "-f", "-")
	require.NoError(t, err)
}

// object is one of kagent.dev in namespace tools.
func object(kind string, spec any) map[string]any {
	return map[string]any{"apiVersion": kagent.GroupVersion.String(), "kind": kind, "metadata": map[string]any{"name": "tried", "namespace": "tools"}, "spec": spec}
}

// TestEveryFieldOfKagentSurvives writes objects that have every field there is,
// through our types, and reads them again.
func TestEveryFieldOfKagentSurvives(t *testing.T) {
	t.Parallel()
	given := map[string]map[string]bool{"Agent": {}, "ModelConfig": {}, "RemoteMCPServer": {}}
	for _, document := range documents(t, kagentObjects+"/full/*.yaml") {
		kind := document["kind"].(string)
		name := document["metadata"].(map[string]any)["name"].(string)
		written, read := typed(kind), typed(kind)
		text, err := json.Marshal(document)
		require.NoError(t, err)
		require.NoError(t, yaml.UnmarshalStrict(text, written))
		makes(t, written)
		if status, has := document["status"]; has {
			patch, err := json.Marshal(map[string]any{"status": status})
			require.NoError(t, err)
			admin.does(t, "patch", kind, name, "--subresource=status", "--type=merge", "-p", string(patch))
		}
		require.NoError(t, yaml.UnmarshalStrict([]byte(admin.does(t, "get", kind, name, "-o", "json")), read))
		require.JSONEq(t, parts(t, written), parts(t, read), "%s %s", kind, name)
		collect(given[kind], "", document)
	}
	for kind, given := range given {
		for path := range described(t, kind) {
			require.True(t, given[path], "%s of %s is not tried", path, kind)
		}
	}
}

// typed is an empty object of a kind.
func typed(kind string) any {
	return map[string]any{"Agent": &kagent.Agent{}, "ModelConfig": &kagent.ModelConfig{}, "RemoteMCPServer": &kagent.RemoteMCPServer{}}[kind]
}

// parts are an object's spec and status, as JSON.
func parts(t *testing.T, object any) string {
	text, err := json.Marshal(object)
	require.NoError(t, err)
	var fields map[string]any
	require.NoError(t, json.Unmarshal(text, &fields))
	text, err = json.Marshal(map[string]any{"spec": fields["spec"], "status": fields["status"]})
	require.NoError(t, err)
	return string(text)
}

// collect adds the paths of all fields of value.
func collect(paths map[string]bool, path string, value any) {
	switch value := value.(type) {
	case map[string]any:
		for name, field := range value {
			paths[path+"."+name] = true
			collect(paths, path+"."+name, field)
		}
	case []any:
		for _, element := range value {
			collect(paths, path, element)
		}
	}
}

// TestTheCRDsOfKagentReadWell looks at what kubectl shows.
func TestTheCRDsOfKagentReadWell(t *testing.T) {
	t.Parallel()
	for _, document := range documents(t, kagentObjects+"/samples/[am]*.yaml") {
		document["metadata"].(map[string]any)["namespace"] = "tools"
		makes(t, document)
	}
	status := `status: {revision: 0a1b2c3d4e, conditions: [{type: Accepted, status: "True", reason: Found, message: all is there, lastTransitionTime: "2026-01-02T03:04:05Z"}, {type: Ready, status: "False", reason: Starting, message: no pod is ready, lastTransitionTime: "2026-01-02T03:04:05Z"}, {type: ToolsGranted, status: "False", reason: GrantsMissing, message: grant them, lastTransitionTime: "2026-01-02T03:04:05Z"}]}`
	admin.does(t, "patch", "agent", "k8s-troubleshooter", "--subresource=status", "--type=merge", "-p", status)
	require.Equal(t, `NAME                 TYPE          MODEL              ACCEPTED   READY   GRANTED   REVISION     AGE   MESSAGE
k8s-troubleshooter   Declarative   anthropic-claude   True       False   False     0a1b2c3d4e   0s    no pod is ready
`, still(admin.does(t, "get", "agents", "k8s-troubleshooter", "-o", "wide")))
	require.Equal(t, `NAME               PROVIDER    MODEL                      ACCEPTED   AGE
anthropic-claude   anthropic   claude-sonnet-4-20250514              0s
`, still(admin.does(t, "get", "mc", "anthropic-claude")))
	makes(t, object("RemoteMCPServer", map[string]any{"description": "Kubernetes", "url": "http://kube:8080/mcp"}))
	require.Equal(t, `NAME    PROTOCOL          URL                    ACCEPTED   AGE
tried   STREAMABLE_HTTP   http://kube:8080/mcp              0s
`, still(admin.does(t, "get", "rmcps", "tried")))

	require.Contains(t, vic.does(t, "explain", "agent.spec.declarative"), "  modelConfig\t<string>\n    ModelConfig is the ModelConfig of the agent's namespace that it thinks\n    with: default-model-config if absent.")
	require.Contains(t, vic.does(t, "explain", "agent.spec.declarative.tools.mcpServer.requireApproval"), "person has to approve")
	require.Contains(t, vic.does(t, "explain", "remotemcpserver.status.discoveredTools.class"), "ENUM:\n    read\n    write\n    destroy\n")
}
