package kubernetes

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

func configuration(t testing.TB, s *mcptest.Session) (GetClusterConfigurationOut, map[string]string) {
	t.Helper()
	var out GetClusterConfigurationOut
	s.Call("k8s_get_cluster_configuration", nil).Into(t, &out)
	features := map[string]string{}
	for _, row := range out.Features.Rows {
		features[row[0]] = row[1]
	}
	return out, features
}

func TestGetClusterConfiguration(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	group := strictType(t, s, ns)
	for _, r := range []schema.GroupVersionResource{
		{Group: "storage.k8s.io", Version: "v1", Resource: "storageclasses"}, {Group: "networking.k8s.io", Version: "v1", Resource: "ingressclasses"},
		{Group: "scheduling.k8s.io", Version: "v1", Resource: "priorityclasses"}, {Group: "node.k8s.io", Version: "v1", Resource: "runtimeclasses"},
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingadmissionpolicies"},
		{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingwebhookconfigurations"},
	} {
		removed(t, r, ns)
	}
	apply(t, "", strings.ReplaceAll(`
{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: NAME}, provisioner: example.com/disks, volumeBindingMode: WaitForFirstConsumer}
---
{apiVersion: networking.k8s.io/v1, kind: IngressClass, metadata: {name: NAME}, spec: {controller: example.com/gate}}
---
{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: NAME}, value: 7}
---
{apiVersion: node.k8s.io/v1, kind: RuntimeClass, metadata: {name: NAME}, handler: sandbox}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingWebhookConfiguration, metadata: {name: NAME}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: NAME}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [nowhere.example.com], apiVersions: [v1], operations: [CREATE], resources: [nothings]}]}
  validations: [{expression: "true"}]
`, "NAME", ns))
	out, features := configuration(t, s)
	c := testClients(t)
	version, err := c.typed.Discovery().ServerVersion()
	require.NoError(t, err)
	require.Equal(t, version.GitVersion+" "+version.Platform, out.Version)
	require.Contains(t, out.AddOns, group+": widgets")
	require.Contains(t, features["storage classes"], ns+" (example.com/disks, WaitForFirstConsumer)")
	require.Contains(t, features["ingress classes"], ns+" (example.com/gate)")
	require.Contains(t, features["priority classes"], ns+" (7)")
	require.Contains(t, features["runtime classes"], ns+" (sandbox)")
	require.Contains(t, features["mutating webhooks"], ns+" (0)")
	require.Contains(t, features["validating admission policies"], ns)
	require.Contains(t, features["pod security"], "namespaces enforce nothing")
	require.NotEmpty(t, features["metrics api"])

	nodes, err := c.typed.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(out.Nodes, strconv.Itoa(len(nodes.Items))+", "), out.Nodes)
	counted := 0
	for _, row := range out.NodeKinds.Rows {
		require.Len(t, row, len(out.NodeKinds.Columns))
		n, err := strconv.Atoi(row[0])
		require.NoError(t, err)
		counted += n
	}
	require.Equal(t, len(nodes.Items), counted)
}

func TestNodeSummary(t *testing.T) {
	t.Parallel()
	node := func(kubelet, role, ready string, cordoned bool) *corev1.Node {
		amounts := corev1.ResourceList{"cpu": resource.MustParse("2"), "memory": resource.MustParse("4Gi"), "example.com/gpu": resource.MustParse("0")}
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"node-role.kubernetes.io/" + role: "", corev1.LabelTopologyZone: "z"}},
			Spec:       corev1.NodeSpec{Unschedulable: cordoned},
			Status: corev1.NodeStatus{
				Capacity: amounts, Allocatable: corev1.ResourceList{"cpu": resource.MustParse("1500m"), "memory": resource.MustParse("3Gi")},
				NodeInfo:   corev1.NodeSystemInfo{KubeletVersion: kubelet, Architecture: "arm64"},
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionStatus(ready)}},
			},
		}
	}
	s := newNodeSummary()
	require.Empty(t, s.counts())
	require.Nil(t, s.table())
	for range 10 {
		n := node("v1.36.4", "worker", "True", false)
		s.add(n)
	}
	s.add(node("v1.35.0", "control-plane", "False", true))
	s.add(node("v1.36.4", "worker", "Unknown", false))
	require.Equal(t, "12, 10 ready, 1 cordoned", s.counts())
	require.Equal(t, "cpu 24 (allocatable 18), memory 48.0Gi (allocatable 36.0Gi)", s.capacity())
	require.Equal(t, [][]string{
		{"11", "10", "worker", "v1.36.4", "", "arm64", "", "", "z"},
		{"1", "0", "control-plane", "v1.35.0", "", "arm64", "", "", "z"},
	}, s.table().Rows)
}

func TestGetClusterConfigurationSaysWhatItWasDenied(t *testing.T) {
	t.Parallel()
	out, features := configuration(t, serve(t, granted(t, getClusterConfiguration.Rules...), mcpkit.AccessRead, nil))
	require.Empty(t, out.NotLookedAt)
	require.NotEmpty(t, out.Nodes)
	require.NotEmpty(t, features["storage classes"])

	out, features = configuration(t, serve(t, granted(t, readRule("", "namespaces")), mcpkit.AccessRead, nil))
	require.True(t, strings.HasPrefix(out.Version, "v1."), out.Version)
	require.Empty(t, out.Nodes)
	require.Nil(t, out.NodeKinds)
	require.NotContains(t, features, "storage classes")
	require.Contains(t, features["pod security"], "namespaces enforce nothing")
	var missed []string
	for _, line := range out.NotLookedAt {
		what, why, _ := strings.Cut(line, ": ")
		require.True(t, strings.HasPrefix(why, "denied"), line)
		missed = append(missed, what)
	}
	require.Equal(t, []string{"csidrivers", "ingressclasses", "mutatingwebhookconfigurations", "nodes", "priorityclasses", "runtimeclasses",
		"storageclasses", "validatingadmissionpolicies", "validatingwebhookconfigurations"}, missed)
}

func TestGetClusterConfigurationRefusals(t *testing.T) {
	t.Parallel()
	requireRefused(t, reading(t), "k8s_get_cluster_configuration", map[string]any{"verbose": true}, `invalid: unknown argument "verbose"; this tool takes no arguments`)
	nobody := serve(t, over(tokenKubeconfig(t, "not-a-token"), "kubernetes-mcp/test"), mcpkit.AccessRead, nil)
	requireRefused(t, nobody, "k8s_get_cluster_configuration", nil, "denied: the cluster rejects this server's credentials")
	nowhere := serve(t, over("/no/such/file", "kubernetes-mcp/test"), mcpkit.AccessRead, nil)
	requireRefused(t, nowhere, "k8s_get_cluster_configuration", nil, "unavailable: no cluster is configured")
}

// Not beside others, who would not find their priority class among so many.
func TestGetClusterConfigurationIsCutToTheBudget(t *testing.T) {
	ns := namespace(t)
	for i := range maxFacts + 1 {
		name := fmt.Sprintf("%s-%d-%s", ns, i, strings.Repeat("x", 200))
		removed(t, schema.GroupVersionResource{Group: "scheduling.k8s.io", Version: "v1", Resource: "priorityclasses"}, name)
		apply(t, "", `{apiVersion: scheduling.k8s.io/v1, kind: PriorityClass, metadata: {name: `+name+`}, value: 7}`)
	}
	ts := toolset(admin(t))
	s := mcptest.Connect(t, ts, mcpkit.Options{Name: "kubernetes-mcp", MaxResultBytes: 5 << 10}, nil)
	a := s.Call("k8s_get_cluster_configuration", nil)
	var out GetClusterConfigurationOut
	a.Into(t, &out)
	require.LessOrEqual(t, a.Bytes, 5<<10)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "list one type with k8s_get_resources instead")
	_, features := configuration(t, reading(t))
	require.Contains(t, features["priority classes"], " more")
}
