package charts

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// clusterScoped are the resources that belong to no namespace, of those that
// the tools ask for. Discovery of a real API server proves it.
var clusterScoped = []string{
	"namespaces",
	"nodes",
	"persistentvolumes",
	"mutatingwebhookconfigurations.admissionregistration.k8s.io",
	"validatingadmissionpolicies.admissionregistration.k8s.io",
	"validatingadmissionpolicybindings.admissionregistration.k8s.io",
	"validatingwebhookconfigurations.admissionregistration.k8s.io",
	"customresourcedefinitions.apiextensions.k8s.io",
	"apiservices.apiregistration.k8s.io",
	"selfsubjectrulesreviews.authorization.k8s.io",
	"nodes.metrics.k8s.io",
	"ingressclasses.networking.k8s.io",
	"runtimeclasses.node.k8s.io",
	"clusterrolebindings.rbac.authorization.k8s.io",
	"clusterroles.rbac.authorization.k8s.io",
	"priorityclasses.scheduling.k8s.io",
	"csidrivers.storage.k8s.io",
	"csinodes.storage.k8s.io",
	"storageclasses.storage.k8s.io",
	"volumeattachments.storage.k8s.io",
}

// resourceOf is a resource of r without its subresource, as kubectl writes it:
// nodes, or ingresses.networking.k8s.io.
func resourceOf(r mcpkit.Rule, resource string) string {
	resource, _, _ = strings.Cut(resource, "/")
	return strings.TrimSuffix(resource+"."+r.Groups[0], ".")
}

// TestScopesAreTheClusters asks a real API server where every resource in every
// role belongs. Those of metrics.k8s.io are served by an add-on, and belong
// where what they measure does.
func TestScopesAreTheClusters(t *testing.T) {
	namespaced := map[string]bool{}
	for value, flag := range map[bool]string{true: "--namespaced=true", false: "--namespaced=false"} {
		for _, name := range strings.Fields(kubectl(t, "api-resources", "--output=name", flag)) {
			namespaced[name] = value
		}
	}
	for path, register := range configurations {
		ts := mcpkit.NewToolset()
		register(ts)
		for _, r := range ts.Rules(accessOf(path)) {
			for _, name := range r.Resources {
				name = resourceOf(r, name)
				inside, known := namespaced[strings.TrimSuffix(name, ".metrics.k8s.io")]
				require.True(t, known, "%s: the cluster knows no %s", path, name)
				require.Equal(t, !inside, slices.Contains(clusterScoped, name), "%s: whether %s belongs to no namespace", path, name)
			}
		}
	}
}
