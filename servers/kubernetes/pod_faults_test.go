package kubernetes

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// States that a cluster takes minutes, or a broken machine, to show.

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

func ago(d time.Duration) metav1.Time { return metav1.NewTime(noon.Add(-d)) }

// onNode is a pod on a node, with one container in the given state.
func onNode(s corev1.ContainerStatus) *corev1.Pod {
	s.Name = "main"
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "web-0", CreationTimestamp: ago(time.Hour)},
		Spec:       corev1.PodSpec{NodeName: "node-1", RestartPolicy: corev1.RestartPolicyAlways, Containers: []corev1.Container{{Name: "main", Image: "shop:1"}}},
		Status:     corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{s}},
	}
}

func ranUntil(code int32, reason string, at time.Duration) corev1.ContainerState {
	return corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{ExitCode: code, Reason: reason, StartedAt: ago(at + time.Minute), FinishedAt: ago(at)}}
}

func waitsFor(reason, message string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason, Message: message}}
}

var runs = corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: ago(5 * time.Minute)}}

func TestPodFaults(t *testing.T) {
	deleted := onNode(corev1.ContainerStatus{State: runs, Ready: true})
	deleted.DeletionTimestamp, deleted.Finalizers = new(ago(10*time.Minute)), []string{"example.com/hold"}

	evicted := onNode(corev1.ContainerStatus{})
	evicted.Status = corev1.PodStatus{Phase: corev1.PodFailed, Reason: "Evicted", Message: "The node was low on resource: memory."}

	gated := onNode(corev1.ContainerStatus{})
	gated.Spec.NodeName, gated.Spec.SchedulingGates = "", []corev1.PodSchedulingGate{{Name: "example.com/budget"}}
	gated.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonSchedulingGated}}

	unseen := onNode(corev1.ContainerStatus{})
	unseen.Spec.NodeName, unseen.Spec.SchedulerName, unseen.Status.ContainerStatuses = "", "fancy", nil

	lost := onNode(corev1.ContainerStatus{State: runs, Ready: true})
	lost.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionFalse, LastTransitionTime: ago(3 * time.Minute)}}

	slow := onNode(corev1.ContainerStatus{State: waitsFor("ContainerCreating", "")})
	slow.Status.Phase = corev1.PodPending
	slow.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionTrue, LastTransitionTime: ago(7 * time.Minute)}}

	initial := onNode(corev1.ContainerStatus{State: waitsFor("PodInitializing", "")})
	initial.Spec.InitContainers = []corev1.Container{{Name: "migrate"}}
	initial.Status.InitContainerStatuses = []corev1.ContainerStatus{{Name: "migrate", RestartCount: 4, State: waitsFor("CrashLoopBackOff", ""), LastTerminationState: ranUntil(1, "Error", time.Minute)}}

	finished := onNode(corev1.ContainerStatus{State: ranUntil(0, "Completed", time.Minute)})
	finished.Status.Phase = corev1.PodSucceeded

	limited := onNode(corev1.ContainerStatus{State: ranUntil(137, "OOMKilled", time.Second), RestartCount: 1})

	for name, tt := range map[string]struct {
		pod      *corev1.Pod
		severity string
		cause    string
		what     string
	}{
		"deleted":    {deleted, warning, "stuck Terminating", "should have ended 10m ago and is still there"},
		"evicted":    {evicted, warning, "Evicted", "was ended: Evicted"},
		"gated":      {gated, warning, "held by scheduling gates", "is held by scheduling gates: example.com/budget"},
		"unseen":     {unseen, critical, "no scheduler has looked at it", `waits since 60m for scheduler "fancy", which has not looked at it`},
		"lost":       {lost, critical, "its node does not answer", "is marked not ready since its node node-1 does not answer"},
		"slow":       {slow, warning, "stuck in ContainerCreating", "is on node node-1 since 7m and has not started"},
		"initial":    {initial, critical, "crash loop, exit 1", "init container migrate crashes: exit 1, 4 restarts"},
		"finished":   {finished, "", "", ""},
		"limited":    {limited, critical, "OOMKilled", "container main is OOMKilled although it has no memory limit: its node ran out of memory, 1 restart"},
		"ready":      {onNode(corev1.ContainerStatus{State: runs, Ready: true}), "", "", ""},
		"not ready":  {onNode(corev1.ContainerStatus{State: runs}), critical, "runs but is not ready", "container main runs since 5m but is not ready"},
		"ended well": {onNode(corev1.ContainerStatus{State: ranUntil(0, "Completed", time.Minute), RestartCount: 2}), critical, "crash loop, exit 0", "container main crashes: exit 0, 2 restarts"},
		"between crashes": {onNode(corev1.ContainerStatus{State: runs, Ready: true, RestartCount: 3, LastTerminationState: ranUntil(1, "Error", 6*time.Minute)}),
			critical, "crash loop, exit 1", "container main crashes: exit 1, 3 restarts"},
		"crashed once": {onNode(corev1.ContainerStatus{State: runs, Ready: true, RestartCount: 1, LastTerminationState: ranUntil(139, "Error", 20*time.Minute)}),
			warning, "restarted in the last hour, exit 139", "container main crashes: exit 139, 1 restart"},
		"crashed long ago": {onNode(corev1.ContainerStatus{State: runs, Ready: true, RestartCount: 9, LastTerminationState: ranUntil(1, "Error", 3*time.Hour)}), "", "", ""},
		"refused image": {onNode(corev1.ContainerStatus{State: waitsFor("ImagePullBackOff", `Back-off pulling image "shop:1": ErrImagePull: pull access denied: authorization failed`)}),
			critical, "image cannot be pulled: the registry refuses access", `image "shop:1" of container main cannot be pulled: the registry refuses access`},
	} {
		t.Run(name, func(t *testing.T) {
			faults := podFaults(tt.pod, noon)
			if tt.cause == "" {
				require.Empty(t, faults)
				return
			}
			require.NotEmpty(t, faults)
			require.Equal(t, tt.severity, faults[0].severity)
			require.Equal(t, tt.cause, faults[0].cause)
			require.Equal(t, tt.what, faults[0].what)
		})
	}
}

func TestExitMeaning(t *testing.T) {
	for code, part := range map[int32]string{
		0: "ended by itself without an error", 1: "ended itself with an error", 126: "cannot be executed", 127: "no such command", 134: "SIGABRT",
		137: "SIGKILL from outside", 139: "SIGSEGV", 143: "SIGTERM from outside", 135: "killed by signal 7",
	} {
		require.Contains(t, exitMeaning(&corev1.ContainerStateTerminated{ExitCode: code}), part, "exit %d", code)
	}
	require.Contains(t, exitMeaning(&corev1.ContainerStateTerminated{ExitCode: 255, Reason: "Unknown"}), "lost track")
}

func TestPullReason(t *testing.T) {
	for message, why := range map[string]string{
		`rpc error: code = NotFound desc = failed to pull: shop:9: not found`:                       "the registry has no such image or tag",
		`failed to authorize: failed to fetch anonymous token: unexpected status: 401 Unauthorized`: "the registry refuses access",
		`toomanyrequests: You have reached your pull rate limit`:                                    "the registry limits how often it is asked",
		`dial tcp: lookup registry.example.com: no such host`:                                       "the registry's name does not resolve",
		`tls: failed to verify certificate: x509: certificate signed by unknown authority`:          "the registry's certificate is not trusted",
		`no match for platform in manifest`:                                                         "the image has no variant for the node's platform",
		`dial tcp 10.0.0.1:443: i/o timeout`:                                                        "the registry cannot be reached",
		`write /var/lib/containerd/x: no space left on device`:                                      "the node's disk is full",
		`something nobody has seen`:                                                                 "",
	} {
		require.Equal(t, why, pullReason("ErrImagePull", message), message)
	}
	require.Equal(t, "the name is not valid", pullReason("InvalidImageName", "couldn't parse"))
}

func TestParseScheduling(t *testing.T) {
	nodes, hurdles := parseScheduling("0/12 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unreachable: }, 2 node(s) were unschedulable, 9 Insufficient memory. no new claims to deallocate, preemption: 0/12 nodes are available: 3 Preemption is not helpful for scheduling, 9 No preemption victims found for incoming pod.")
	require.Equal(t, 12, nodes)
	require.Equal(t, []hurdle{{9, "Insufficient memory"}, {2, "node(s) were unschedulable"}, {1, "node(s) had untolerated taint {node.kubernetes.io/unreachable: }"}}, hurdles)

	_, hurdles = parseScheduling(`0/1 nodes are available: persistentvolumeclaim "data" not found. not found`)
	require.Equal(t, []hurdle{{0, `persistentvolumeclaim "data" not found`}}, hurdles)
	_, hurdles = parseScheduling("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found")
	require.Equal(t, []hurdle{{0, "pod has unbound immediate PersistentVolumeClaims"}}, hurdles)
	nodes, hurdles = parseScheduling("no nodes available to schedule pods")
	require.Zero(t, nodes)
	require.Equal(t, []hurdle{{0, "no nodes available to schedule pods"}}, hurdles)

	require.Equal(t, "Insufficient memory, cordoned nodes, taints it does not tolerate",
		schedulingCause("0/12 nodes are available: 1 node(s) had untolerated taint {a: b}, 2 node(s) were unschedulable, 9 Insufficient memory."))
}

func FuzzParseScheduling(f *testing.F) {
	f.Add("0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b,c}. preemption: 0/3")
	f.Add(`0/1 nodes are available: persistentvolumeclaim "a, b" not found. not found`)
	f.Fuzz(func(t *testing.T, message string) {
		nodes, hurdles := parseScheduling(message)
		require.GreaterOrEqual(t, nodes, 0)
		for _, h := range hurdles {
			require.NotEmpty(t, h.reason)
			require.GreaterOrEqual(t, h.nodes, 0)
		}
		require.NotEmpty(t, schedulingCause(message))
	})
}

func TestPodCensusKeepsOneSampleOfACause(t *testing.T) {
	c := newPodCensus(noon)
	for i := range 500 {
		p := onNode(corev1.ContainerStatus{RestartCount: int32(1 + i%7), State: waitsFor("CrashLoopBackOff", ""), LastTerminationState: ranUntil(1, "Error", time.Minute)})
		p.Name, p.Labels = "web-"+strings.Repeat("x", i%9), map[string]string{"pod-template-hash": "abc"}
		c.add(p)
	}
	c.add(onNode(corev1.ContainerStatus{State: waitsFor("ImagePullBackOff", "")}))
	groups := c.worst()
	require.Len(t, groups, 2)
	require.Equal(t, "crash loop, exit 1", groups[0].cause)
	require.Equal(t, 500, groups[0].count)
	require.Equal(t, int32(7), groups[0].fault.restarts, "the sample is the pod that restarted most")
	require.Len(t, groups[0].names, 3)
	require.Len(t, c.table().Rows, maxPodRows)
	require.Equal(t, "0 of 501 pods ready", c.state())
	require.Equal(t, readiness{500, 0}, *c.revisions["abc"])
}
