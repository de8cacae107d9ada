package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// deployed is a deployment of one container named main; spec is the rest of the
// container in YAML's flow style.
func deployed(name string, replicas int, container string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: %[2]d
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: main, image: 'toolcrib.test/busybox:1', %[3]s}]
---
`, name, replicas, container)
}

// lonePod is a pod of one container that sleeps; spec is more of the pod's spec,
// container more of the container's, both in YAML's flow style.
func lonePod(name, spec, container string) string {
	return fmt.Sprintf(`{apiVersion: v1, kind: Pod, metadata: {name: %s}, spec: {terminationGracePeriodSeconds: 0, %s
  containers: [{name: main, image: 'toolcrib.test/busybox:1', command: [sleep, '3600'], %s}]}}
---
`, name, spec, container)
}

const sleeps = `command: [sleep, '3600']`

// diagnosed asks until the diagnosis holds a finding that has part, which the
// cluster needs a moment to show, and returns both.
func diagnosed(t testing.TB, s *mcptest.Session, ns, kind, name, part string) (DiagnoseOut, Finding) {
	t.Helper()
	var out DiagnoseOut
	var found Finding
	var answer mcptest.Answer
	within(t, "a finding that "+part, func() bool {
		answer = s.Call("k8s_diagnose", map[string]any{"resource_type": kind, "resource_name": name, "namespace": ns})
		if answer.IsError {
			return false
		}
		out = DiagnoseOut{}
		answer.Into(t, &out)
		for _, f := range out.Findings {
			if strings.Contains(f.What, part) {
				found = f
				return true
			}
		}
		return false
	})
	require.Less(t, answer.Bytes, 6<<10, answer.Text)
	return out, found
}

func TestDiagnoseCrashLoopQuotesTheLog(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, deployed("crash", 2, `command: [sh, -c, 'echo starting; echo "panic: DB_URL is not set"; exit 3']`))
	var out DiagnoseOut
	var f Finding
	within(t, "both pods crashed twice", func() bool {
		out, f = diagnosed(t, s, ns, "deployment", "crash", "container main crashes: exit 3, ")
		return strings.HasPrefix(f.What, "2 of 2 pods: ") && f.Severity == critical && out.Pods.Rows[0][1] == "crash loop, exit 3"
	})
	require.Contains(t, strings.Join(f.Evidence, "\n"), "the program ended itself with an error")
	require.Contains(t, f.Evidence, "log: panic: DB_URL is not set")
	require.Equal(t, "broken", strings.Split(out.Verdict, ":")[0])
	require.Equal(t, "starting\npanic: DB_URL is not set", out.Logs[0].Lines)
	require.Contains(t, out.Chain[0], "Deployment crash > ReplicaSet crash-")
	require.Contains(t, out.Chain[0], "(revision 1, 0 of 2 pods ready)")
	require.Equal(t, []string{"pod", "state", "ready", "restarts", "age", "node"}, out.Pods.Columns)

	pod, f := diagnosed(t, s, ns, "pod", out.Pods.Rows[0][0], "container main crashes: exit 3, ")
	require.Contains(t, f.Evidence, "log: panic: DB_URL is not set")
	require.Contains(t, pod.Chain[0], "Deployment crash > ReplicaSet crash-")
}

func TestDiagnoseOOMKilled(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, deployed("hungry", 1, `command: [sh, -c, 'tail /dev/zero'], resources: {limits: {memory: 16Mi}}`))
	var f Finding
	within(t, "the deployment is down between two restarts", func() bool {
		_, f = diagnosed(t, s, ns, "deploy", "hungry", "is OOMKilled: it went over its memory limit of 16Mi")
		return f.Severity == critical
	})
	require.Equal(t, "the container needs a higher memory limit, or the program must use less", f.Next)
}

func TestDiagnoseProbes(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, deployed("stuck", 1, sleeps+`, ports: [{name: web, containerPort: 8080}], livenessProbe: {httpGet: {path: /healthz, port: 9090}, periodSeconds: 1, failureThreshold: 1}`)+
		deployed("cold", 1, sleeps+`, readinessProbe: {exec: {command: [cat, /tmp/ready]}, periodSeconds: 1}`)+
		`{apiVersion: v1, kind: Service, metadata: {name: cold}, spec: {selector: {app: cold}, ports: [{port: 80}]}}`)
	var f Finding
	within(t, "the probe is refused, rather than late on a busy machine", func() bool {
		_, f = diagnosed(t, s, ns, "deploy", "stuck", "container main is restarted because its liveness probe fails, ")
		return len(f.Evidence) > 2 && strings.Contains(f.Evidence[1], "connect: connection refused")
	})
	require.Equal(t, "liveness probe: GET /healthz on port 9090 every 1s, timeout 1s, delay 0s, fails after 1; ports the container declares: web 8080", f.Evidence[2])

	var out DiagnoseOut
	within(t, "the probe fails, rather than being late", func() bool {
		out, f = diagnosed(t, s, ns, "deploy", "cold", "container main runs but is not ready: its readiness probe fails")
		return strings.Contains(f.Evidence[0], "can't open '/tmp/ready'")
	})
	require.Equal(t, critical, f.Severity)
	require.Contains(t, f.Evidence[1], "readiness probe: exec cat /tmp/ready every 1s")
	require.Equal(t, "broken: 0 of 1 replicas available", out.Verdict)

	out, _ = diagnosed(t, s, ns, "service", "cold", "1 of 1 pod it selects: container main runs but is not ready: its readiness probe fails")
	require.Equal(t, "broken: 0 ready endpoints, 1 not ready; selector app=cold; ports 80->80/TCP", out.Verdict)
}

func TestDiagnoseImageThatCannotBePulled(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: shop}, spec: {containers: [{name: main, image: 'toolcrib.test/shop:9'}]}}`)
	out, f := diagnosed(t, s, ns, "pod", "shop", `image "toolcrib.test/shop:9" of container main cannot be pulled: the registry's name does not resolve`)
	require.Equal(t, critical, f.Severity)
	require.Contains(t, f.Evidence[0], "kubelet: ")
	require.Contains(t, f.Evidence[0], "lookup toolcrib.test")
	require.Contains(t, out.Chain, "nothing owns the pod: when it goes, nothing makes another")
	require.Empty(t, out.Events.Rows, "what the finding says is not said again")
}

func TestDiagnoseCommandThatIsNotThere(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: shop}, spec: {containers: [{name: main, image: 'toolcrib.test/busybox:1', command: [/bin/shopd, --serve]}]}}`)
	_, f := diagnosed(t, s, ns, "pod", "shop", `container main cannot start: exec: "/bin/shopd": stat /bin/shopd: no such file or directory`)
	require.Equal(t, []string{"command: /bin/shopd --serve; image: toolcrib.test/busybox:1"}, f.Evidence)
}

func TestDiagnoseReferencesThatLeadNowhere(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {LOG_LEVEL: debug}}
---
`+deployed("key", 1, sleeps+`, env: [{name: LEVEL, valueFrom: {configMapKeyRef: {name: settings, key: LOG_LEVLE}}}]`)+
		deployed("secret", 1, sleeps+`, envFrom: [{secretRef: {name: db-creds}}]`)+
		lonePod("volume", `volumes: [{name: conf, configMap: {name: setings}}],`, `volumeMounts: [{name: conf, mountPath: /conf}]`)+
		lonePod("sealed", `volumes: [{name: conf, secret: {secretName: tls}}],`, `volumeMounts: [{name: conf, mountPath: /conf}]`)+
		lonePod("claim", `volumes: [{name: data, persistentVolumeClaim: {claimName: data}}],`, `volumeMounts: [{name: data, mountPath: /data}]`)+
		strings.Replace(deployed("account", 1, sleeps), "terminationGracePeriodSeconds: 0", "serviceAccountName: robot", 1))

	out, f := diagnosed(t, s, ns, "deploy", "key", `1 of 1 pod: cannot start: ConfigMap "settings" has no key "LOG_LEVLE" (its keys: LOG_LEVEL)`)
	require.Equal(t, "used as env LEVEL of container main", f.Evidence[0])
	require.Equal(t, "add the key, or correct the reference", f.Next)
	require.Contains(t, out.Changed[0], "ConfigMap settings, ")

	_, f = diagnosed(t, s, ns, "deploy", "secret", `1 of 1 pod: cannot start: Secret "db-creds" does not exist, says the kubelet`)
	require.Equal(t, "used as envFrom of container main", f.Evidence[0])
	_, f = diagnosed(t, s, ns, "pod", "volume", `cannot start: ConfigMap "setings" does not exist (there is settings)`)
	require.Equal(t, "used as volume conf", f.Evidence[0])
	diagnosed(t, s, ns, "pod", "sealed", `cannot start: Secret "tls" does not exist, says the kubelet`)
	diagnosed(t, s, ns, "pod", "claim", `cannot be scheduled: PersistentVolumeClaim "data" does not exist`)
	out, f = diagnosed(t, s, ns, "deploy", "account", `pods cannot be created: ServiceAccount "robot" does not exist`)
	require.Equal(t, "create the ServiceAccount, or correct serviceAccountName", f.Next)
	require.Len(t, out.Findings, 1)
}

func TestDiagnoseBadRolloutNamesTheChange(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, strings.Replace(deployed("web", 2, sleeps+`, env: [{name: MODE, value: fast}]`), "spec:\n", "spec:\n  progressDeadlineSeconds: 2\n", 1))
	deployments := testClients(t).typed.AppsV1().Deployments(ns)
	within(t, "web available", func() bool {
		d, err := deployments.Get(t.Context(), "web", metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == 2
	})
	var healthy mcptest.Answer
	within(t, "web is healthy, though it may have come up after its deadline", func() bool {
		healthy = s.Call("k8s_diagnose", map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns})
		return strings.Contains(healthy.Text, "verdict: healthy: 2 of 2 replicas available\n")
	})
	require.Less(t, healthy.Bytes, 900, "a healthy object is answered in a few lines: %s", healthy.Text)

	_, err := deployments.Patch(t.Context(), "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"main","image":"toolcrib.test/busybox:2","env":[{"name":"MODE","value":"slow"},{"name":"DB_PASSWORD","value":"hunter2hunter2"}]}]}}}}`),
		metav1.PatchOptions{FieldManager: "release-robot"})
	require.NoError(t, err)
	out, f := diagnosed(t, s, ns, "deploy", "web", "the rollout of revision 2 is stuck: its deadline of 2s passed ")
	require.Equal(t, warning, f.Severity, "the old pods still serve")
	require.Equal(t, []string{"revision 2: 0 of 1 pod ready", "revision 1: 2 of 2 pods ready"}, f.Evidence)
	require.Equal(t, "revision 1 is still stored: a rollout undo returns to it", f.Next)
	require.Equal(t, "impaired: 2 of 2 replicas available", out.Verdict)
	require.Len(t, out.Changed, 1)
	require.Regexp(t, `^revision 1 -> 2, \S+ ago by release-robot: containers\[main\].image: toolcrib.test/busybox:1 -> toolcrib.test/busybox:2; `, out.Changed[0])
	require.Contains(t, out.Changed[0], "env[MODE]")
	require.Contains(t, out.Changed[0], "DB_PASSWORD")
	require.NotContains(t, out.Changed[0], "hunter2")
	require.Contains(t, out.Findings[0].What, `1 of 3 pods: image "toolcrib.test/busybox:2" of container main cannot be pulled`)
}

func TestDiagnoseScaledToZero(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, deployed("idle", 0, sleeps))
	var out DiagnoseOut
	within(t, "its controller has seen it", func() bool {
		out = DiagnoseOut{}
		s.Call("k8s_diagnose", map[string]any{"resource_type": "deploy", "resource_name": "idle", "namespace": ns}).Into(t, &out)
		return len(out.Findings) == 0
	})
	require.Regexp(t, `^idle: scaled to 0 replicas, last set by test \S+ ago$`, out.Verdict)

	apply(t, ns, deployed("busy", 1, sleeps))
	scales := testClients(t).typed.AppsV1().Deployments(ns)
	within(t, "busy made its pod", func() bool {
		dep, err := scales.Get(t.Context(), "busy", metav1.GetOptions{})
		return err == nil && dep.Status.Replicas == 1
	})
	_, err := scales.UpdateScale(t.Context(), "busy", &autoscalingv1.Scale{ObjectMeta: metav1.ObjectMeta{Name: "busy", Namespace: ns}}, metav1.UpdateOptions{})
	require.NoError(t, err)
	within(t, "the deployment's event", func() bool {
		s.Call("k8s_diagnose", map[string]any{"resource_type": "deploy", "resource_name": "busy", "namespace": ns}).Into(t, &out)
		return strings.Contains(out.Verdict, "ago; the record does not say by whom")
	})
	require.Contains(t, out.Verdict, "idle: scaled to 0 replicas, last ")
}

func TestDiagnoseNotFoundNamesTheNearest(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, deployed("checkout", 0, sleeps))
	a := s.Call("k8s_diagnose", map[string]any{"resource_type": "deploy", "resource_name": "chekout", "namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "not_found: ")
	require.Contains(t, a.Text, "checkout")
}

func TestDiagnoseSaysWhatItWasDenied(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, deployed("web", 0, sleeps))
	b := granted(t, readRule("apps", "deployments", "replicasets"))
	args := map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns}
	var out DiagnoseOut
	serve(t, b, mcpkit.AccessRead, nil).Call("k8s_diagnose", args).Into(t, &out)
	missed := strings.Join(out.NotLookedAt, "\n")
	for _, what := range []string{"events", "horizontalpodautoscalers", "pods", "services"} {
		require.Contains(t, missed, what+": denied (")
	}
	require.Contains(t, missed, `cannot list resource "pods"`)
	require.Equal(t, "deployments 1, replicasets 1", out.LookedAt)

	args["resource_type"] = "sts"
	a := serve(t, b, mcpkit.AccessRead, nil).Call("k8s_diagnose", args)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: ")
}

func TestDiagnoseNeedsNoMoreThanItsRules(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, deployed("crash", 1, `command: [sh, -c, 'exit 1'], envFrom: [{configMapRef: {name: gone, optional: true}}]`)+
		lonePod("big", "", `resources: {requests: {cpu: '640'}}`)+
		`{apiVersion: v1, kind: Service, metadata: {name: crash}, spec: {selector: {app: crash}, ports: [{port: 80}]}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: web}, spec: {defaultBackend: {service: {name: crash, port: {number: 80}}}}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: crash}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: crash}, maxReplicas: 3}}
---
{apiVersion: batch/v1, kind: CronJob, metadata: {name: tick}, spec: {schedule: '0 0 1 1 *', suspend: true, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'toolcrib.test/busybox:1'}]}}}}}}
`)
	s := serve(t, granted(t, diagnose.Rules...), mcpkit.AccessRead, nil)
	diagnosed(t, s, ns, "deploy", "crash", "crashes: exit 1")
	node := onlyNode(t)
	for kind, name := range map[string]string{"deploy": "crash", "pod": "big", "svc": "crash", "ing": "web", "pvc": "data", "hpa": "crash", "cronjob": "tick", "node": node.Name} {
		var out DiagnoseOut
		s.Call("k8s_diagnose", map[string]any{"resource_type": kind, "resource_name": name, "namespace": ns}).Into(t, &out)
		require.Empty(t, out.NotLookedAt, kind)
	}
}

// onlyNode is one of the cluster's nodes that is ready.
func onlyNode(t testing.TB) corev1.Node {
	t.Helper()
	nodes, err := testClients(t).typed.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, n := range nodes.Items {
		if len(nodeFaults(&n, time.Now())) == 0 {
			return n
		}
	}
	require.Fail(t, "no node is ready")
	return corev1.Node{}
}

func TestDiagnoseFitsASmallBudget(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, deployed("chatty", 1, `command: [sh, -c, 'for w in ant bee cat dog elk fox gnu hen; do echo "$w did not answer within the time it was given to do so"; done; exit 1']`))
	ts := toolset(admin(t))
	s := mcptest.Connect(t, ts, mcpkit.Options{Name: "kubernetes-mcp", MaxResultBytes: 2000}, nil)
	var out DiagnoseOut
	within(t, "an answer that had to be cut", func() bool {
		answer := s.Call("k8s_diagnose", map[string]any{"resource_type": "deploy", "resource_name": "chatty", "namespace": ns})
		require.LessOrEqual(t, answer.Bytes, 2000)
		out = DiagnoseOut{}
		answer.Into(t, &out)
		return out.Truncated && len(out.Findings) > 0
	})
	require.Contains(t, out.LeftOut, diagnose.Narrow)
	require.Contains(t, out.Findings[0].What, "exit 1")
}
