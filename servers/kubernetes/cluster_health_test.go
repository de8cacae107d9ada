package kubernetes

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// later is a backend to which everything in the cluster is two minutes older,
// so that what had time to settle need not be waited for.
func later(b *Backend) *Backend {
	b.now = func() time.Time { return time.Now().Add(2 * time.Minute) }
	return b
}

// causes asks until the answer has a row for each cause, which the cluster needs
// a moment to show, and returns the rows by cause.
func causes(t testing.TB, s *mcptest.Session, args map[string]any, wanted ...string) (ClusterHealthOut, map[string][]string) {
	t.Helper()
	var out ClusterHealthOut
	rows := map[string][]string{}
	var missing string
	defer func() {
		if missing != "" {
			t.Log(missing)
		}
	}()
	within(t, "a row for each cause", func() bool {
		answer := s.Call("k8s_cluster_health", args)
		if answer.IsError {
			missing = answer.Text
			return false
		}
		out = ClusterHealthOut{}
		answer.Into(t, &out)
		clear(rows)
		for _, row := range out.Problems.Rows {
			rows[row[1]] = row
		}
		for _, cause := range wanted {
			if rows[cause] == nil {
				missing = "no " + cause + " in " + answer.Text
				return false
			}
		}
		missing = ""
		return true
	})
	return out, rows
}

func TestClusterHealthGroupsByCause(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ResourceQuota, metadata: {name: small}, spec: {hard: {requests.memory: 1Gi}}}`)
	counting(t, ns, "small")
	apply(t, ns, lonePod("idle", "", `resources: {requests: {memory: 1Mi}}`)+
		`{apiVersion: v1, kind: Service, metadata: {name: typo}, spec: {selector: {app: chekout}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [
  {name: main, image: 'toolcrib.test/busybox:1', command: ['false'], resources: {requests: {memory: 1Mi}}}]}}}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: gone}, maxReplicas: 3}}
---
`+deployed("crash", 2, `command: [sh, -c, 'exit 3'], resources: {requests: {memory: 1Mi}}`)+
		deployed("shop", 1, `image: 'toolcrib.test/shop:9', resources: {requests: {memory: 1Mi}}`)+
		deployed("pay", 1, `image: 'toolcrib.test/pay:9', resources: {requests: {memory: 1Mi}}`)+
		deployed("large", 1, `resources: {requests: {memory: 1Mi, cpu: '640'}}`)+
		deployed("bare", 1, sleeps))
	s := serve(t, later(granted(t, clusterHealth.Rules...)), mcpkit.AccessRead, nil)
	const pull = "image cannot be pulled: the registry's name does not resolve"
	var out ClusterHealthOut
	var rows map[string][]string
	within(t, "both pods of crash crashed, both images failed", func() bool {
		out, rows = causes(t, s, map[string]any{"namespace": ns}, "crash loop, exit 3", pull, "PVC pending: storage class \"fast\" does not exist",
			"Service selects no pod", "job failed: BackoffLimitExceeded", "HPA cannot scale its target: FailedGetScale",
			"pods cannot be created: a quota demands requests or limits that are not set")
		return strings.Contains(rows["crash loop, exit 3"][2], "2 pods") && strings.Contains(rows[pull][2], "shop") && strings.Contains(rows[pull][2], "pay")
	})
	require.Equal(t, []string{"severity", "cause", "objects", "detail"}, out.Problems.Columns)
	// Between two crashes both may be available for a moment.
	require.Regexp(t, `^Deployment `+ns+`/crash \((\d/2 available, )?2 pods, \d+ restarts\)$`, rows["crash loop, exit 3"][2])
	require.Equal(t, "the program ended itself with an error", rows["crash loop, exit 3"][3])
	require.Equal(t, critical, rows[pull][0])
	require.Equal(t, "Deployment "+ns+"/pay (0/1 available); Deployment "+ns+"/shop (0/1 available)", rows[pull][2])
	require.Contains(t, rows[pull][3], "lookup toolcrib.test")
	require.Equal(t, "Service "+ns+"/typo [app=chekout]", rows["Service selects no pod"][2])
	require.Equal(t, "Job "+ns+"/migrate", rows["job failed: BackoffLimitExceeded"][2])
	require.Equal(t, "Deployment "+ns+"/bare (0/1 available)", rows["pods cannot be created: a quota demands requests or limits that are not set"][2])
	require.Contains(t, out.Verdict, "broken: ")
	require.Empty(t, out.NotLookedAt, "its rules suffice")
	unschedulable := ""
	for cause, row := range rows {
		if strings.HasPrefix(cause, "unschedulable: ") && strings.Contains(cause, "Insufficient cpu") {
			unschedulable = row[2]
		}
	}
	require.Equal(t, "Deployment "+ns+"/large (0/1 available)", unschedulable)

	out, _ = causes(t, s, map[string]any{"namespace": ns, "limit": 1})
	require.True(t, out.Truncated)
	require.Len(t, out.Problems.Rows, 1)
	require.Contains(t, out.LeftOut, "problems: 1 of ")
	require.Contains(t, out.LeftOut, clusterHealth.Narrow)
}

func TestClusterHealthOfAHealthyNamespace(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, deployed("web", 1, sleeps)+`{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, ports: [{port: 80}]}}`)
	within(t, "web to be ready", func() bool {
		answer := s.Call("k8s_cluster_health", map[string]any{"namespace": ns})
		return strings.Contains(answer.Text, "verdict: healthy: 1 of 1 pod ready\n") && answer.Bytes < 700
	})
	out, _ := causes(t, s, map[string]any{"namespace": ns})
	require.Empty(t, out.Problems.Rows)
	require.Contains(t, out.Checked, "deployments 1")
	require.Contains(t, out.Checked, "services 1")
}

func TestClusterHealthOfTheCluster(t *testing.T) {
	t.Parallel()
	ns, c := namespace(t), testClients(t)
	node := "a-" + ns // by its name the first of those that other tests have cordoned
	t.Cleanup(func() {
		_ = c.typed.CoreV1().Nodes().Delete(context.Background(), node, metav1.DeleteOptions{})
		_ = c.typed.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(context.Background(), ns, metav1.DeleteOptions{})
	})
	apply(t, ns, `{apiVersion: v1, kind: Node, metadata: {name: `+node+`}, spec: {unschedulable: true, taints: [{key: node.kubernetes.io/unschedulable, effect: NoSchedule}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: `+ns+`}, webhooks: [{name: nobody.example.com, sideEffects: None, admissionReviewVersions: [v1],
  failurePolicy: Fail, clientConfig: {service: {namespace: `+ns+`, name: gone}}, rules: [{apiGroups: [nothing.example.com], apiVersions: [v1], operations: [CREATE], resources: [nothings]}]}]}
`)
	out, rows := causes(t, reading(t), map[string]any{"limit": 200}, "node cordoned", "webhook's Service does not exist")
	require.Contains(t, rows["node cordoned"][2], "Node "+node)
	require.Equal(t, warning, rows["node cordoned"][0])
	require.Equal(t, critical, rows["webhook's Service does not exist"][0])
	require.Equal(t, "ValidatingWebhookConfiguration "+ns, rows["webhook's Service does not exist"][2])
	require.Equal(t, "Service "+ns+"/gone; failurePolicy Fail refuses the writes it is asked about", rows["webhook's Service does not exist"][3])
	require.Contains(t, out.Checked, "apiservices ")
	require.Contains(t, out.Checked, "webhook configurations ")
}

func TestClusterHealthRefusals(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	requireRefused(t, reading(t), "k8s_cluster_health", map[string]any{"namespace": ns + "x"}, `not_found: no namespaces "`+ns+`x"; the nearest names are `+ns)
	requireRefused(t, reading(t), "k8s_cluster_health", map[string]any{"namespace": "a/b"}, "invalid: ")
	requireRefused(t, serve(t, granted(t), mcpkit.AccessRead, nil), "k8s_cluster_health", map[string]any{"namespace": ns}, "denied: ")

	apply(t, ns, lonePod("web", "", ""))
	out, _ := causes(t, serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil), map[string]any{"namespace": ns})
	require.Equal(t, "pods 1", out.Checked)
	missed := strings.Join(out.NotLookedAt, "\n")
	for _, what := range []string{"deployments", "services", "jobs", "warning events", "persistentvolumeclaims"} {
		require.Contains(t, missed, what+": denied (")
	}
}

func TestProblemsAreWarningsWhereTheirWorkloadsServe(t *testing.T) {
	h := &health{now: noon}
	h.problems.add(critical, "crash loop, exit 1", "Deployment shop/web", "", 3)
	h.problems.add(critical, "OOMKilled", "Deployment shop/pay", "", 1)
	h.problems.add(critical, "OOMKilled", "Deployment shop/web", "", 1)
	h.problems.add(critical, "container cannot start", "Pod shop/lone", "", 0)
	h.workloads.add("Deployment shop/web", workloadState{available: 2, desired: 3, cause: "rollout stuck"})
	h.workloads.add("Deployment shop/pay", workloadState{available: 0, desired: 1, cause: "short of replicas"})
	h.workloads.add("Deployment shop/new", workloadState{available: 0, desired: 1, young: true, cause: "short of replicas"})
	h.workloads.add("Deployment shop/slow", workloadState{available: 0, desired: 1, cause: "short of replicas"})
	h.join()
	var got [][]string
	for _, p := range h.problems.ranked() {
		got = append(got, []string{p.severity, p.cause, p.affected()})
	}
	require.Equal(t, [][]string{
		{critical, "OOMKilled", "Deployment shop/pay (0/1 available, 1 restart); Deployment shop/web (2/3 available, rollout stuck, 1 restart)"},
		{critical, "container cannot start", "Pod shop/lone"},
		{critical, "short of replicas", "Deployment shop/slow (0/1 available)"},
		{warning, "crash loop, exit 1", "Deployment shop/web (2/3 available, rollout stuck, 3 restarts)"},
	}, got)
}

func TestAPIServiceFault(t *testing.T) {
	broken := map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": "False", "reason": "MissingEndpoints", "message": "no endpoints"}}}}
	require.Equal(t, "MissingEndpoints: no endpoints", apiServiceFault(broken))
	require.Empty(t, apiServiceFault(map[string]any{"status": map[string]any{"conditions": []any{map[string]any{"type": "Available", "status": "True"}}}}))
}
