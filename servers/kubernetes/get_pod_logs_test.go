package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// runPod makes a pod whose containers run shell scripts once, named a, b, ...
func runPod(t testing.TB, ns, name string, scripts ...string) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name}}
	pod.Spec.RestartPolicy = corev1.RestartPolicyNever
	pod.Spec.TerminationGracePeriodSeconds = new(int64(0))
	for i, script := range scripts {
		pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{
			Name: string(rune('a' + i)), Image: "toolcrib.test/busybox:1", Command: []string{"sh", "-c", script},
		})
	}
	_, err := testClients(t).typed.CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
}

// podIs waits until a pod satisfies a condition.
func podIs(t testing.TB, ns, name, what string, holds func(*corev1.Pod) bool) {
	t.Helper()
	c := testClients(t)
	within(t, "pod "+name+" "+what, func() bool {
		pod, err := c.typed.CoreV1().Pods(ns).Get(t.Context(), name, metav1.GetOptions{})
		return err == nil && holds(pod)
	})
}

func ended(t testing.TB, ns, name string) {
	t.Helper()
	podIs(t, ns, name, "ended", func(p *corev1.Pod) bool {
		return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
	})
}

// waiting waits until a pod's first container waits for a reason.
func waiting(t testing.TB, ns, name string, reasons ...string) {
	t.Helper()
	podIs(t, ns, name, "waiting", func(p *corev1.Pod) bool {
		for _, s := range p.Status.ContainerStatuses {
			if s.State.Waiting != nil && strings.Contains(strings.Join(reasons, " "), s.State.Waiting.Reason) {
				return true
			}
		}
		return false
	})
}

// logOf calls the tool and returns its log without the times before lines.
func logOf(t testing.TB, b *Backend, args map[string]any) (GetPodLogsOut, []string) {
	t.Helper()
	var out GetPodLogsOut
	serve(t, b, mcpkit.AccessRead, nil).Call("k8s_get_pod_logs", args).Into(t, &out)
	lines := strings.Split(out.Log, "\n")
	for i, l := range lines {
		if len(l) > 9 && l[2] == ':' && l[5] == ':' {
			lines[i] = l[9:]
		}
	}
	return out, lines
}

func TestGetPodLogsFoldsAndCounts(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	runPod(t, ns, "talker", `echo one; echo two; echo two; echo two; for i in 1 2 3 4; do echo "try $i of job 5f2b7c1d90ab"; done; echo "GET / 200"; echo "GET / 500"; printf '\033[1;31mred\033[0m \000\001 end\n'; head -c 40 /dev/zero; echo; printf last`)
	ended(t, ns, "talker")
	out, lines := logOf(t, granted(t, getPodLogs.Rules...), map[string]any{"pod_name": "talker", "namespace": ns})
	require.Equal(t, "one", lines[0])
	require.Regexp(t, `^two \(x3, last \d\d:\d\d:\d\d\)$`, lines[1])
	require.Equal(t, []string{
		"try 1 of job 5f2b7c1d90ab", "… 2 more like it, differing in ids, times or counters", "try 4 of job 5f2b7c1d90ab",
		"GET / 200", "GET / 500", "red    end", "(binary data)", "last",
	}, lines[2:])
	require.EqualValues(t, 13, out.Searched)
	require.False(t, out.Truncated)
	require.Equal(t, []string{"talker/a"}, out.Sources)
}

func TestGetPodLogsInterleavesByTime(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: pair}
spec:
  restartPolicy: Never
  volumes: [{name: turns, emptyDir: {}}]
  containers:
  - name: a
    image: toolcrib.test/busybox:1
    volumeMounts: [{name: turns, mountPath: /turns}]
    command: [sh, -c, 'echo first; touch /turns/1; until [ -e /turns/2 ]; do sleep 0.1; done; echo third']
  - name: b
    image: toolcrib.test/busybox:1
    volumeMounts: [{name: turns, mountPath: /turns}]
    command: [sh, -c, 'until [ -e /turns/1 ]; do sleep 0.1; done; echo second; touch /turns/2']`)
	ended(t, ns, "pair")
	out, lines := logOf(t, admin(t), map[string]any{"pod_name": "pod/pair", "namespace": ns})
	require.Equal(t, []string{"[a] first", "[b] second", "[a] third"}, lines)
	require.Equal(t, []string{"a = pair/a", "b = pair/b"}, out.Sources)
	_, lines = logOf(t, admin(t), map[string]any{"pod_name": "pair", "namespace": ns, "container": "b"})
	require.Equal(t, []string{"second"}, lines)
}

func TestGetPodLogsOfAWorkload(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `
apiVersion: batch/v1
kind: Job
metadata: {name: load}
spec:
  parallelism: 3
  completions: 3
  completionMode: Indexed
  template:
    metadata: {annotations: {kubectl.kubernetes.io/default-container: main}}
    spec:
      restartPolicy: Never
      containers:
      - {name: side, image: "toolcrib.test/busybox:1", command: [echo, aside]}
      - {name: main, image: "toolcrib.test/busybox:1", command: [sh, -c, echo part $JOB_COMPLETION_INDEX]}`)
	c := testClients(t)
	within(t, "job done", func() bool {
		job, err := c.typed.BatchV1().Jobs(ns).Get(t.Context(), "load", metav1.GetOptions{})
		return err == nil && job.Status.Succeeded == 3
	})
	out, lines := logOf(t, granted(t, getPodLogs.Rules...), map[string]any{"pod_name": "job/load", "namespace": ns})
	require.Len(t, out.Sources, 3)
	require.Contains(t, out.Sources[0], "/main")
	for i := range 3 {
		require.Regexp(t, fmt.Sprintf(`(?m)^\[\w{5}\] part %d$`, i), strings.Join(lines, "\n"))
	}
	require.Contains(t, strings.Join(out.Notes, "\n"), "container=* reads all")
	out, _ = logOf(t, admin(t), map[string]any{"pod_name": "job/load", "namespace": ns, "container": "*", "grep": "aside"})
	require.Len(t, out.Sources, 6)
	require.Equal(t, 3, strings.Count(out.Log, "aside"))
}

func TestGetPodLogsOfACrashLoop(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `
apiVersion: v1
kind: Pod
metadata: {name: crash}
spec:
  containers: [{name: app, image: "toolcrib.test/busybox:1", command: [sh, -c, 'echo FATAL no config; exit 3']}]`)
	podIs(t, ns, "crash", "restarted", func(p *corev1.Pod) bool {
		return len(p.Status.ContainerStatuses) > 0 && p.Status.ContainerStatuses[0].RestartCount > 0 && p.Status.ContainerStatuses[0].State.Waiting != nil
	})
	for _, previous := range []bool{false, true} {
		within(t, "the log of a container that the kubelet is not just removing", func() bool {
			out, lines := logOf(t, admin(t), map[string]any{"pod_name": "crash", "namespace": ns, "previous": previous})
			return slices.Equal(lines, []string{"FATAL no config"}) && strings.Contains(out.Notes[0], "exit 3 (Error)")
		})
	}
}

func TestGetPodLogsSaysWhyThereIsNone(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `
{apiVersion: v1, kind: Pod, metadata: {name: unpullable}, spec: {containers: [{name: app, image: "toolcrib.test/absent:9"}]}}
---
{apiVersion: v1, kind: Pod, metadata: {name: nowhere}, spec: {nodeSelector: {disk: fast}, containers: [{name: app, image: "toolcrib.test/busybox:1"}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: none}, spec: {replicas: 0, selector: {matchLabels: {app: none}}, template: {metadata: {labels: {app: none}}, spec: {containers: [{name: app, image: "toolcrib.test/busybox:1"}]}}}}`)
	runPod(t, ns, "quiet", "true")
	waiting(t, ns, "unpullable", "ErrImagePull", "ImagePullBackOff")
	podIs(t, ns, "nowhere", "unschedulable", func(p *corev1.Pod) bool { return len(p.Status.Conditions) > 0 })
	ended(t, ns, "quiet")
	for _, c := range []struct {
		args map[string]any
		note string
	}{
		{map[string]any{"pod_name": "unpullable"}, `^unpullable/app: no log, waiting: (ErrImagePull|ImagePullBackOff): .*toolcrib.test/absent:9`},
		{map[string]any{"pod_name": "nowhere"}, `^pod nowhere has not started: not scheduled: Unschedulable: 0/`},
		{map[string]any{"pod_name": "deploy/none"}, `^deploy/none has no pods now`},
		{map[string]any{"pod_name": "quiet"}, `^the log is empty$`},
		{map[string]any{"pod_name": "quiet", "previous": true}, `^quiet/a: no previous container, it has not restarted$`},
	} {
		c.args["namespace"] = ns
		out, _ := logOf(t, admin(t), c.args)
		require.Len(t, out.Notes, 1, c.args)
		require.Regexp(t, c.note, out.Notes[0])
		require.Empty(t, out.Log)
	}
}

func TestGetPodLogsSaysWhatWasSearchedInVain(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	runPod(t, ns, "talker", `for i in $(seq 300); do echo "line $i"; done`)
	ended(t, ns, "talker")
	out, _ := logOf(t, admin(t), map[string]any{"pod_name": "talker", "namespace": ns, "grep": "absent"})
	require.Equal(t, []string{"no line matches grep; 300 lines searched"}, out.Notes)
	out, lines := logOf(t, admin(t), map[string]any{"pod_name": "talker", "namespace": ns, "grep": "LINE 7$"})
	require.Equal(t, []string{"no line matches grep; 300 lines searched"}, out.Notes)
	require.Equal(t, []string{""}, lines)
	_, lines = logOf(t, admin(t), map[string]any{"pod_name": "talker", "namespace": ns, "grep": "(?i)LINE 7$"})
	require.Equal(t, []string{"line 7"}, lines)
	future := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	out, _ = logOf(t, admin(t), map[string]any{"pod_name": "talker", "namespace": ns, "since": future})
	require.Len(t, out.Notes, 1)
	require.Contains(t, out.Notes[0], "talker/a: nothing since "+future+", its last line is ")
}

func TestGetPodLogsRefusals(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	runPod(t, ns, "talker", "true")
	for _, c := range []struct {
		args map[string]any
		text string
	}{
		{map[string]any{"pod_name": "talkr"}, `not_found: no pods "talkr" in namespace "` + ns + `"; the nearest names are talker`},
		{map[string]any{"pod_name": "deployment/talker"}, `not_found: no deployments.apps "talker"`},
		{map[string]any{"pod_name": "talker", "container": "z"}, `has no container "z"; it has a`},
		{map[string]any{"pod_name": "talker", "grep": "("}, `invalid: grep is not a regular expression`},
		{map[string]any{"pod_name": "configmap/kube-root-ca.crt"}, `selects no pods`},
		{map[string]any{"pod_name": "secret/vault"}, `a Secret selects no pods, so it is not looked at`},
		{map[string]any{"pod_name": "pods/"}, `invalid: write a pod's name`},
		{map[string]any{"pod_name": "a/b/c"}, `invalid: write a pod's name`},
	} {
		c.args["namespace"] = ns
		a := s.Call("k8s_get_pod_logs", c.args)
		require.True(t, a.IsError, c.args)
		require.Contains(t, a.Text, c.text)
	}
}

func TestGetPodLogsDeniedIsSaid(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	runPod(t, ns, "talker", "echo hello")
	ended(t, ns, "talker")
	s := serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil)
	a := s.Call("k8s_get_pod_logs", map[string]any{"pod_name": "talker", "namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: ")
	require.Contains(t, a.Text, `cannot get resource "pods/log"`)
}

func TestGetPodLogsKeepsTheNewestWithinTheBudget(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	runPod(t, ns, "talker", `for i in $(seq 1000); do echo "row $((i*37%1000)) some words that make this line longer than others"; done; head -c 300000 /dev/zero | tr '\000' x; echo; echo the end`)
	ended(t, ns, "talker")
	a := reading(t).Call("k8s_get_pod_logs", map[string]any{"pod_name": "talker", "namespace": ns, "tail_lines": 1000})
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	var out GetPodLogsOut
	a.Into(t, &out)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "lines shown; "+getPodLogs.Narrow)
	require.True(t, strings.HasSuffix(out.Log, "the end"))
	require.Regexp(t, `xxx… \(29897\d bytes more\)`, out.Log)
	require.NotContains(t, out.Log, "row 37 some")
}

func TestGetPodLogsHidesSecrets(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	runPod(t, ns, "leaky", `echo "connect with password=hunter2hunter2"; echo '-----BEGIN RSA PRIVATE KEY-----'; for i in $(seq 8); do echo 'MIIEpAIBAAKCAQEA7qTb2mDqKkq0v7R1Zs9fYw3kL5xGm8QeWnTjUoIaPsDfHgJk'; done; echo '-----END RSA PRIVATE KEY-----'; echo done`)
	ended(t, ns, "leaky")
	a := reading(t).Call("k8s_get_pod_logs", map[string]any{"pod_name": "leaky", "namespace": ns})
	require.NotContains(t, a.Text, "hunter2hunter2")
	require.NotContains(t, a.Text, "7qTb2mDqKkq0v7R1")
	require.Contains(t, a.Text, "password=redacted:")
	require.Contains(t, a.Text, "done")
}

func TestGetPodLogsOfAHundredMegabytes(t *testing.T) {
	ns := namespace(t)
	runPod(t, ns, "flood", `yes "2026-01-02T03:04:05Z level=info msg=\"request served\" path=/api/v1/items status=200 user=4711" | head -c 100000000; echo; echo needle`)
	within(t, "the pod to end", func() bool {
		pod, err := testClients(t).typed.CoreV1().Pods(ns).Get(t.Context(), "flood", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodSucceeded
	})
	var out GetPodLogsOut
	s := reading(t)
	peak := peakHeap(t, func() {
		s.Call("k8s_get_pod_logs", map[string]any{"pod_name": "flood", "namespace": ns, "grep": "needle"}).Into(t, &out)
	})
	require.True(t, strings.HasSuffix(out.Log, "needle"), out.Log)
	require.Greater(t, out.Searched, int64(50_000)) // the kubelet may have rotated the log meanwhile
	require.Less(t, peak, uint64(32<<20))
}
