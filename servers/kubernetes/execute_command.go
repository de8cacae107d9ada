package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
	"k8s.io/klog/v2"
	"k8s.io/kubectl/pkg/cmd/util/podcmd"
	"k8s.io/streaming/pkg/httpstream"
)

var executeCommand = mcpkit.Tool{
	Name:        "k8s_execute_command",
	Title:       "Run a command in a container",
	Description: "Runs one program in a running container, without stdin or terminal, and returns both streams and the exit code; an exit code other than 0 is an answer, not an error. A person approves it: try k8s_get_pod_logs, k8s_diagnose and k8s_check_service_connectivity first.",
	Narrow:      "let the command itself select, with head, tail, grep or cut",
	Rules: []mcpkit.Rule{
		readRule("", "pods"),
		// A WebSocket starts as a GET: newer API servers let it through for get
		// and create together, older ones for get; SPDY needs create.
		{Groups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create", "get"}},
	},
}

const (
	execTimeout  = 30 * time.Second
	commandBytes = 4 << 10 // what a person is shown of a plan must hold the whole command

	stdoutBytes = 8 << 10 // kept of each stream, half at either end
	stderrBytes = 2 << 10
)

type ExecuteCommandIn struct {
	PodName   string          `json:"pod_name"`
	Namespace string          `json:"namespace,omitempty" jsonschema:"default if absent"`
	Container string          `json:"container,omitempty" jsonschema:"the pod's default one if absent"`
	Command   []string        `json:"command" jsonschema:"program and arguments, one string each: [\"ls\",\"-l\",\"/tmp\"]; for pipes or variables name a shell: [\"sh\",\"-c\",\"ls | wc -l\"]"`
	Timeout   mcpkit.Duration `json:"timeout,omitempty" jsonschema:"30s if absent"`
}

func (ExecuteCommandIn) Constrain(p mcpkit.Properties) {
	p["pod_name"].Description = "name of the pod"
	p["command"].MinItems = new(1)
}

type ExecuteCommandOut struct {
	ExitCode *int   `json:"exit_code,omitempty"`
	TimedOut string `json:"timed_out,omitempty" jsonschema:"set instead of exit_code when the command had not ended in time"`
	mcpkit.Left
	Stdout string `json:"stdout,omitempty"`
	Stderr string `json:"stderr,omitempty"`
}

// execTarget is the container a plan was made for.
type execTarget struct{ namespace, pod, container string }

func (e execTarget) String() string {
	return fmt.Sprintf("container %q of %s", e.container, named("pod", e.namespace, e.pod))
}

func (b *Backend) planExec(ctx context.Context, in ExecuteCommandIn) (mcpkit.Plan, error) {
	if err := checkCommand(in.Command); err != nil {
		return mcpkit.Plan{}, err
	}
	pod, err := b.pod(ctx, in.Namespace, in.PodName)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	container, err := podcmd.FindOrDefaultContainerByName(pod, in.Container, true, io.Discard)
	if err != nil {
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.NotFound, "no container %q in %s; there are %s", in.Container, named("pod", pod.Namespace, pod.Name), podcmd.AllContainerNames(pod))
	}
	to := execTarget{pod.Namespace, pod.Name, container.Name}
	status, err := running(pod, to)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	diff := fmt.Sprintf("run:   %s\nimage: %s\nnode:  %s", quoted(in.Command), container.Image, pod.Spec.NodeName)
	if len(pod.Spec.Containers) > 1 && in.Container == "" {
		diff += "\nother containers of the pod: " + podcmd.AllContainerNames(pod)
	}
	if withoutSecrets(ctx, diff) != diff {
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.Invalid, "command holds what looks like a secret, which the person who approves it would not be shown, and they must see the whole command; let it read the secret from the container's environment or from a file")
	}
	return mcpkit.Plan{
		Target: to.String(),
		Diff:   diff,
		Notes:  powers(pod, container),
		Seen:   []string{"pod " + string(pod.UID), "container " + status.ContainerID},
		State:  to,
	}, nil
}

// checkCommand refuses what would not do what it looks like.
func checkCommand(argv []string) error {
	program := argv[0]
	switch {
	case program == "":
		return mcpkit.Errorf(mcpkit.Invalid, "command starts with an empty string; the first element is the program")
	case len(argv) == 1 && strings.ContainsAny(program, " \t\n"):
		return mcpkit.Errorf(mcpkit.Invalid, "command is one string with spaces, which no shell would split. Write each argument as its own element: %s; or, where it needs a shell: %s",
			quoted(strings.Fields(program)), quoted([]string{"sh", "-c", program}))
	case len(quoted(argv)) > commandBytes:
		return mcpkit.Errorf(mcpkit.TooLarge, "command is %d bytes long and a person must be able to read it whole; keep it under %d", len(quoted(argv)), commandBytes)
	}
	return nil
}

// quoted writes argv so that it can be read one way only: spaces, quotes and
// characters that cannot be seen stand as escapes.
func quoted(argv []string) string {
	words := make([]string, len(argv))
	for i, w := range argv {
		words[i] = strconv.Quote(w)
	}
	return "[" + strings.Join(words, ", ") + "]"
}

// pod reads one pod. When there is none of that name it says which are near.
func (b *Backend) pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	namespace = cmp.Or(namespace, c.namespace)
	if err := checkNames(namespace, name); err != nil {
		return nil, err
	}
	mcpkit.SetTarget(ctx, named("pod", namespace, name))
	pod, err := c.typed.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		pods, err := b.resolve(ctx, "pods")
		if err != nil {
			return nil, err
		}
		return nil, b.notFound(ctx, pods, namespace, name)
	}
	return pod, translate(err, "get "+named("pod", namespace, name))
}

// running returns the state of a container that runs, or says why it does not.
func running(pod *corev1.Pod, to execTarget) (corev1.ContainerStatus, error) {
	for _, list := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses, pod.Status.EphemeralContainerStatuses} {
		for _, s := range list {
			switch {
			case s.Name != to.container:
			case s.State.Running != nil:
				return s, nil
			case s.State.Terminated != nil:
				return s, notRunning(to, fmt.Sprintf("terminated: %s, exit code %d", s.State.Terminated.Reason, s.State.Terminated.ExitCode))
			case s.State.Waiting != nil:
				return s, notRunning(to, "waiting: "+s.State.Waiting.Reason)
			}
		}
	}
	return corev1.ContainerStatus{}, notRunning(to, "the pod is "+string(pod.Status.Phase))
}

func notRunning(to execTarget, why string) error {
	return mcpkit.Errorf(mcpkit.Conflict, "%s does not run (%s), so nothing can be run in it; k8s_get_pod_logs shows what it said, k8s_diagnose why", to, why)
}

// powers says what a command in the container could reach beyond it.
func powers(pod *corev1.Pod, c *corev1.Container) []string {
	var out []string
	if s := c.SecurityContext; s != nil && s.Privileged != nil && *s.Privileged {
		out = append(out, "the container is privileged: the command has the powers of root on the node")
	}
	if pod.Spec.HostNetwork {
		out = append(out, "the pod shares the node's network")
	}
	if pod.Spec.HostPID {
		out = append(out, "the pod shares the node's processes")
	}
	for _, v := range pod.Spec.Volumes {
		if v.HostPath != nil {
			out = append(out, fmt.Sprintf("the pod mounts %s of the node", v.HostPath.Path))
		}
	}
	return out
}

func (b *Backend) exec(ctx context.Context, in ExecuteCommandIn, p mcpkit.Plan) (ExecuteCommandOut, error) {
	to := p.State.(execTarget)
	limit := cmp.Or(time.Duration(in.Timeout), execTimeout)
	run, cancel := answerWithin(ctx, limit)
	defer cancel()
	stdout, stderr := newEnds(stdoutBytes), newEnds(stderrBytes)
	began := b.now()
	err := b.stream(run, to, in.Command, stdout, stderr)
	if ctx.Err() != nil {
		return ExecuteCommandOut{}, ctx.Err()
	}
	var out ExecuteCommandOut
	var exit exec.CodeExitError
	switch {
	case err == nil:
		out.ExitCode = new(0)
	case errors.As(err, &exit):
		out.ExitCode = &exit.Code
	case errors.Is(err, context.DeadlineExceeded):
		out.TimedOut = fmt.Sprintf("after %s we stopped listening; the command may still run in the container", b.now().Sub(began).Round(100*time.Millisecond))
	default:
		return out, execFailed(err, to, in.Command[0])
	}
	out.take(stdout, stderr)
	return out, nil
}

// take fills in what the streams kept.
func (o *ExecuteCommandOut) take(stdout, stderr *ends) {
	var left []string
	for _, s := range []struct {
		name string
		from *ends
		to   *string
	}{{"stdout", stdout, &o.Stdout}, {"stderr", stderr, &o.Stderr}} {
		text, missing := s.from.text()
		*s.to = text
		if missing != "" {
			left = append(left, s.name+": "+missing)
		}
	}
	if len(left) > 0 {
		o.Truncated, o.LeftOut = true, strings.Join(append(left, executeCommand.Narrow), "; ")
	}
}

// execFailed says why a command did not even start. The container runtime's
// words come as plain text.
func execFailed(err error, to execTarget, program string) error {
	said := err.Error()
	for _, missing := range []string{"executable file not found", "no such file or directory"} {
		if strings.Contains(said, missing) {
			return mcpkit.Wrap(mcpkit.NotFound, err, "%s has no program %q; its image may hold no shell or tools at all", to, program)
		}
	}
	if strings.Contains(said, "permission denied") {
		return mcpkit.Wrap(mcpkit.Invalid, err, "%q cannot be run in %s: permission denied (not executable, or not for the container's user)", program, to)
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) && strings.Contains(said, "exec failed") {
		return mcpkit.Wrap(mcpkit.Invalid, err, "%q cannot be run in %s: %s", program, to, said)
	}
	return translate(err, "run a command in "+to.String())
}

// stream runs a command over WebSocket, or over SPDY where a proxy on the way
// or an old API server cannot do that.
func (b *Backend) stream(ctx context.Context, to execTarget, command []string, stdout, stderr io.Writer) error {
	c, err := b.open()
	if err != nil {
		return err
	}
	url := c.typed.CoreV1().RESTClient().Post().Resource("pods").Namespace(to.namespace).Name(to.pod).SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: to.container, Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec).URL()
	socket, err := remotecommand.NewWebSocketExecutor(c.Config, "GET", url.String())
	if err != nil {
		return fmt.Errorf("exec over WebSocket: %w", err)
	}
	spdy, err := remotecommand.NewSPDYExecutor(c.Config, "POST", url)
	if err != nil {
		return fmt.Errorf("exec over SPDY: %w", err)
	}
	o := remotecommand.StreamOptions{Stdout: stdout, Stderr: stderr}
	quiet := klog.NewContext(ctx, logr.Discard()) // what it logs of a cancelled call is no news
	first := socket.StreamWithContext(quiet, o)
	if !httpstream.IsUpgradeFailure(first) && !httpstream.IsHTTPSProxyError(first) {
		return first
	}
	return refused(first, spdy.StreamWithContext(quiet, o))
}

// refused restores the API server's status, which SPDY's error has lost and
// that of the WebSocket before it still holds.
func refused(first, second error) error {
	var upgrade *httpstream.UpgradeFailureError
	var status *apierrors.StatusError
	if second == nil || !errors.As(first, &upgrade) || !errors.As(upgrade.Cause, &status) {
		return second
	}
	message, lost := strings.CutPrefix(second.Error(), "unable to upgrade connection: ")
	if !lost {
		return second
	}
	whole := *status
	whole.ErrStatus.Message = message
	return &whole
}
