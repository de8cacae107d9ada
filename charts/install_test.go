package charts

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// installedIn is the namespace of what is installed, apart from what is only
// rendered: the API server compares that with what is there.
const installedIn = "live"

// soon is how long the API server may take to know a new role.
const soon = 15 * time.Minute

// releases are the charts' values for [installed].
var releases = map[string]string{"helm": "helm-write", "kubernetes": "kubernetes-write", "prometheus": "prometheus-everything"}

// installations has one for each release.
var installations sync.Map

// installed installs a server's chart, with its write server, once for all
// tests, and returns the release's name. No pod runs: the cluster has no node.
func installed(t *testing.T, server string) string {
	t.Helper()
	name := "crib-" + server
	once, _ := installations.LoadOrStore(name, new(sync.Once))
	once.(*sync.Once).Do(func() { runHelm(t, "helm", "install", name, server, "--namespace="+installedIn, valuesFlag(server)) })
	return name
}

func valuesFlag(server string) string {
	return "--values=testdata/values/" + releases[server] + ".yaml"
}

// TestAnUpgradeKeepsTheKey, in either major version of Helm: with another key
// every pending question and every fingerprint would be void.
func TestAnUpgradeKeepsTheKey(t *testing.T) {
	name := installed(t, "kubernetes")
	key := func() string {
		return kubectl(t, "-n", installedIn, "get", "secret", name+"-key", "--output=jsonpath={.data.key}")
	}
	before := key()
	require.Len(t, before, 64)
	for _, helm := range []string{"helm", "helm4"} {
		runHelm(t, helm, "upgrade", name, "kubernetes", "--namespace="+installedIn, valuesFlag("kubernetes"))
		require.Equal(t, before, key())
	}
}

// TestCallersMayCallTheirTools asks the API server as a tool server would.
func TestCallersMayCallTheirTools(t *testing.T) {
	installed(t, "kubernetes")
	for _, c := range []struct {
		user, group, tool string
		may               bool
	}{
		{"system:serviceaccount:a:agent", "", "k8s_diagnose", true},
		{"system:serviceaccount:a:agent", "", "k8s_scale", true},
		{"system:serviceaccount:a:agent", "", "k8s_delete_resource", false},
		{"system:serviceaccount:b:agent", "", "k8s_diagnose", false},
		{"ada@example.com", "", "k8s_delete_resource", true},
		{"ada@example.com", "", "k8s_create_resource_from_url", true},
		{"ada@example.com", "", "k8s_diagnose", false},
		{"bea", "sre", "k8s_diagnose", true},
		{"bea", "sre", "k8s_scale", false},
	} {
		review := fmt.Sprintf(`{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": {"user": %q, "groups": [%q],
			"resourceAttributes": {"namespace": %q, "verb": "call", "group": "toolcrib.dev", "resource": "tools", "name": %q}}}`, c.user, c.group, installedIn, c.tool)
		require.Eventually(t, func() bool {
			answer := decoded[struct{ Status struct{ Allowed bool } }](t, reviewed(t, "subjectaccessreviews", review))
			return answer.Status.Allowed == c.may
		}, soon, 100*time.Millisecond, "%s %s: %v", c.user, c.tool, c.may)
	}
}

// TestARemoteMCPServerWhereItsTypeIs: the cluster has the type, so that auto is
// true; the platform's own name is kept.
func TestARemoteMCPServerWhereItsTypeIs(t *testing.T) {
	installed(t, "kubernetes")
	for name, host := range map[string]string{"kagent-tool-server": "crib-kubernetes.live.svc", "crib-kubernetes-write": "crib-kubernetes-write.live.svc"} {
		out := kubectl(t, "-n", installedIn, "get", "remotemcpservers", name,
			`--output=jsonpath={.spec.url} {.spec.protocol} {.metadata.annotations.toolcrib\.dev/audience}`)
		require.Equal(t, "http://"+host+":8080/mcp STREAMABLE_HTTP "+host, out)
	}
}

// TestRestrictedNamespacesTakeThePods makes a pod of each Deployment's template
// in a namespace that enforces the restricted standard.
func TestRestrictedNamespacesTakeThePods(t *testing.T) {
	for _, server := range servers {
		list := decoded[struct{ Items []object }](t, kubectl(t, "-n", installedIn, "get", "deployments",
			"--selector=app.kubernetes.io/instance="+installed(t, server), "--output=json"))
		require.Len(t, list.Items, 2)
		for _, deployment := range list.Items {
			template := at[object](deployment, "spec", "template")
			pod := object{"apiVersion": "v1", "kind": "Pod", "spec": template["spec"],
				"metadata": object{"name": "probe", "namespace": installedIn, "labels": at[object](template, "metadata", "labels")}}
			out := kubectlWith(t, asJSON(t, pod), "create", "--dry-run=server", "--output=name")
			require.Equal(t, "pod/probe\n", out)
		}
	}
}

// TestAPackageIsTheChart: helm package follows the link to the library, and what
// it makes renders the same, in both major versions of Helm.
func TestAPackageIsTheChart(t *testing.T) {
	for _, helm := range []string{"helm", "helm4"} {
		for _, server := range servers {
			t.Run(helm+" "+server, func(t *testing.T) {
				dir := t.TempDir()
				runHelm(t, helm, "package", server, "--destination="+dir)
				packages, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
				require.NoError(t, err)
				require.Equal(t, []string{filepath.Join(dir, server+"-0.1.0.tgz")}, packages)
				require.Equal(t, templated(t, helm, server), templated(t, helm, packages[0]))
			})
		}
	}
}

func templated(t *testing.T, helm, chart string) []object {
	t.Helper()
	out := objects(t, runHelm(t, helm, "template", "crib", chart, "--kube-version="+versionAsked,
		"--namespace="+namespace, "--set=write.enabled=true,key.existingSecret=key"))
	require.True(t, slices.ContainsFunc(out, isRole))
	return out
}
