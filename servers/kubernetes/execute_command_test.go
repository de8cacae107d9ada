package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// box is a pod that sleeps, in a namespace of its own, once it runs.
func box(t testing.TB) (ns string) {
	t.Helper()
	ns = namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: box}, spec: {terminationGracePeriodSeconds: 0,
	  containers: [{name: app, image: "toolcrib.test/busybox:1", command: [sleep, "3600"]}]}}`)
	within(t, "box runs", func() bool {
		pod, err := testClients(t).typed.CoreV1().Pods(ns).Get(t.Context(), "box", metav1.GetOptions{})
		return err == nil && pod.Status.Phase == corev1.PodRunning
	})
	return ns
}

func inBox(ns string, command ...string) map[string]any {
	return map[string]any{"pod_name": "box", "namespace": ns, "command": command}
}

func TestExecuteCommand(t *testing.T) {
	t.Parallel()
	ns := box(t)
	p := &person{Says: "accept"}
	s := writing(t, admin(t), p)
	for name, c := range map[string]struct {
		command []string
		text    string
	}{
		"both streams and the exit code": {[]string{"sh", "-c", "echo out; echo err >&2; exit 3"}, "exit_code: 3\nstdout:\nout\nstderr:\nerr"},
		"arguments are not split":        {[]string{"printf", "<%s>", "a b", "$HOME; ls", `"q"`}, `exit_code: 0` + "\n" + `stdout: <a b><$HOME; ls><"q">`},
		"nothing said":                   {[]string{"true"}, "exit_code: 0"},
		"killed":                         {[]string{"sh", "-c", "kill -9 $$"}, "exit_code: 137"},
		"text that is not UTF-8":         {[]string{"printf", `caf\351 ok`}, "exit_code: 0\nstdout: caf\uFFFD ok"},
		"no stdin":                       {[]string{"cat"}, "exit_code: 0"},
	} {
		a := s.Call("k8s_execute_command", inBox(ns, c.command...))
		require.False(t, a.IsError, "%s: %s", name, a.Text)
		require.Equal(t, c.text, a.Text, name)
	}
}

func TestExecuteCommandPlanShowsTheCommandUnambiguously(t *testing.T) {
	t.Parallel()
	ns := box(t)
	p := &person{Says: "accept"}
	s := writing(t, admin(t), p)
	s.Call("k8s_execute_command", inBox(ns, "echo", "a b", "it's \u202e\n", `""`))
	pod, err := testClients(t).typed.CoreV1().Pods(ns).Get(t.Context(), "box", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, []string{fmt.Sprintf(`Run a command in a container: container "app" of pod "box" in namespace %q

run:   ["echo", "a b", "it's \u202e\n", "\"\""]
image: toolcrib.test/busybox:1
node:  %s

Note: argument command holds characters that would not be seen: U+202E

Accept to make this change, decline to leave everything as it is.`, ns, pod.Spec.NodeName)}, p.Asked)
}

// What stands in for a secret could hide a part of the command from the person.
func TestExecuteCommandRefusesWhatThePlanWouldHide(t *testing.T) {
	t.Parallel()
	ns, p := box(t), &person{Says: "accept"}
	a := writing(t, admin(t), p).Call("k8s_execute_command", inBox(ns, "sh", "-c", "PASSWORD=x;touch${IFS}/tmp/done true"))
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "invalid: command holds what looks like a secret")
	require.Empty(t, p.Asked)
}

func TestExecuteCommandPlanSaysWhatTheContainerMayReach(t *testing.T) {
	t.Parallel()
	pod := &corev1.Pod{Spec: corev1.PodSpec{
		HostNetwork: true, HostPID: true,
		Containers: []corev1.Container{{SecurityContext: &corev1.SecurityContext{Privileged: new(true)}}, {}},
		Volumes:    []corev1.Volume{{VolumeSource: corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: "/etc"}}}},
	}}
	require.Equal(t, []string{
		"the container is privileged: the command has the powers of root on the node",
		"the pod shares the node's network",
		"the pod shares the node's processes",
		"the pod mounts /etc of the node",
	}, powers(pod, &pod.Spec.Containers[0]))
	require.Len(t, powers(pod, &pod.Spec.Containers[1]), 3)
	require.Empty(t, powers(&corev1.Pod{}, &corev1.Container{}))
}

func TestExecuteCommandOutputIsBounded(t *testing.T) {
	t.Parallel()
	ns := box(t)
	s := writing(t, admin(t), &person{Says: "accept"})
	var out ExecuteCommandOut
	a := s.Call("k8s_execute_command", inBox(ns, "sh", "-c", "seq 1 200000; seq 1 100000 >&2"))
	a.Into(t, &out)
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, " of 1288895 bytes in the middle; stderr: ")
	require.Contains(t, out.LeftOut, "head, tail, grep or cut")
	require.True(t, strings.HasPrefix(out.Stdout, "1\n2\n3\n"), out.Stdout)
	require.True(t, strings.HasSuffix(out.Stdout, "\n199999\n200000\n"), out.Stdout)
	require.Regexp(t, `\n\d+\n\(\.\.\. \d+ bytes left out \.\.\.\)\n\d+\n`, out.Stdout)
	require.True(t, strings.HasSuffix(out.Stderr, "\n100000\n"), out.Stderr)

	a = s.Call("k8s_execute_command", inBox(ns, "cat", "/bin/busybox"))
	require.Regexp(t, `^exit_code: 0\ntruncated: true\nleft_out: stdout: \d{6,} bytes of binary data not shown; let the command itself select, .*$`, a.Text)
}

func TestExecuteCommandEndsInTime(t *testing.T) {
	t.Parallel()
	ns := box(t)
	s := writing(t, admin(t), &person{Says: "accept"})
	args := inBox(ns, "sh", "-c", "echo begun; sleep 1000")
	args["timeout"] = "20s" // time enough to begin on any machine
	var out ExecuteCommandOut
	s.Call("k8s_execute_command", args).Into(t, &out)
	require.Nil(t, out.ExitCode)
	require.Equal(t, "begun\n", out.Stdout)
	require.Contains(t, out.TimedOut, "the command may still run in the container")
}

func TestExecuteCommandRefusals(t *testing.T) {
	t.Parallel()
	ns := box(t)
	apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {name: waiting}, spec: {terminationGracePeriodSeconds: 0,
	  containers: [{name: one, image: "nowhere.test/none:1"}, {name: two, image: "nowhere.test/none:1"}]}}`)
	within(t, "waiting has tried", func() bool {
		pod, err := testClients(t).typed.CoreV1().Pods(ns).Get(t.Context(), "waiting", metav1.GetOptions{})
		return err == nil && len(pod.Status.ContainerStatuses) > 0
	})
	p := &person{Says: "accept"}
	s := writing(t, admin(t), p)
	for name, c := range map[string]struct {
		args  map[string]any
		wants []string
		asks  int
	}{
		"one string":   {inBox(ns, "ls -l /tmp"), []string{"invalid: ", `["ls", "-l", "/tmp"]`, `["sh", "-c", "ls -l /tmp"]`}, 0},
		"kagent's":     {map[string]any{"pod_name": "box", "namespace": ns, "command": "ls -l"}, []string{"invalid: ", `argument "command"`, "one string each"}, 0},
		"no command":   {inBox(ns), []string{"invalid: ", `argument "command"`}, 0},
		"no program":   {inBox(ns, ""), []string{"invalid: ", "the first element is the program"}, 0},
		"too long":     {inBox(ns, "echo", strings.Repeat("x", commandBytes)), []string{"too_large: ", "keep it under 4096"}, 0},
		"no pod":       {map[string]any{"pod_name": "bax", "namespace": ns, "command": []string{"ls"}}, []string{`not_found: no pods "bax"`, "box"}, 0},
		"no container": {map[string]any{"pod_name": "box", "namespace": ns, "container": "ap", "command": []string{"ls"}}, []string{`not_found: no container "ap"`, "there are app"}, 0},
		"not running":  {map[string]any{"pod_name": "waiting", "namespace": ns, "command": []string{"ls"}}, []string{"conflict: ", `container "one"`, "does not run (waiting: "}, 0},
		"no such file": {inBox(ns, "nope"), []string{"not_found: ", `has no program "nope"`}, 1},
		"no directory": {inBox(ns, "/nodir/x"), []string{"not_found: ", `has no program "/nodir/x"`}, 1},
		"not a binary": {inBox(ns, "/etc/passwd"), []string{"invalid: ", "permission denied"}, 1},
	} {
		p.Asked = nil
		a := s.Call("k8s_execute_command", c.args)
		require.True(t, a.IsError, "%s: %s", name, a.Text)
		for _, want := range c.wants {
			require.Contains(t, a.Text, want, name)
		}
		require.Len(t, p.Asked, c.asks, name)
	}
}

func TestExecuteCommandRunsNothingUnlessAccepted(t *testing.T) {
	t.Parallel()
	ns := box(t)
	touch := inBox(ns, "touch", "/tmp/touched")

	a := serve(t, admin(t), mcpkit.AccessWrite, func(string) string { return "decline" }).Call("k8s_execute_command", touch)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: the person declined")

	a = serve(t, admin(t), mcpkit.AccessWrite, nil).Call("k8s_execute_command", touch)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: ")
	require.Contains(t, a.Text, `["touch", "/tmp/touched"]`)

	var out ExecuteCommandOut
	writing(t, admin(t), &person{Says: "accept"}).Call("k8s_execute_command", inBox(ns, "ls", "/tmp")).Into(t, &out)
	require.NotContains(t, out.Stdout, "touched")
}

func TestExecuteCommandIntoAnotherPodOfTheSameNameIsStale(t *testing.T) {
	t.Parallel()
	ns := box(t)
	pods := testClients(t).typed.CoreV1().Pods(ns)
	s := serve(t, admin(t), mcpkit.AccessWrite, func(string) string {
		old, err := pods.Get(t.Context(), "box", metav1.GetOptions{})
		require.NoError(t, err)
		require.NoError(t, pods.Delete(t.Context(), "box", metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}))
		fresh := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "box"}, Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: new(int64(0)), Containers: old.Spec.Containers[:1],
		}}
		fresh.Spec.Containers[0].VolumeMounts = nil
		_, err = pods.Create(t.Context(), fresh, metav1.CreateOptions{})
		require.NoError(t, err)
		within(t, "the new box runs", func() bool {
			pod, err := pods.Get(t.Context(), "box", metav1.GetOptions{})
			return err == nil && pod.UID != old.UID && pod.Status.Phase == corev1.PodRunning
		})
		return "accept"
	})
	a := s.Call("k8s_execute_command", inBox(ns, "touch", "/tmp/touched"))
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "changed between plan and approval, so nothing was done")
}

func TestExecuteCommandWorksWithItsRulesAndNoFewer(t *testing.T) {
	t.Parallel()
	ns := box(t)
	mcptest.RequireSteady(t, toolset(granted(t, executeCommand.Rules...)), executeCommand.Name, inBox(ns, "echo", "hello"))
	var out ExecuteCommandOut
	writing(t, granted(t, executeCommand.Rules...), &person{Says: "accept"}).
		Call("k8s_execute_command", inBox(ns, "echo", "hello")).Into(t, &out)
	require.Equal(t, "hello\n", out.Stdout)

	for name, b := range map[string]*Backend{
		"pods":      granted(t, mcpkit.Rule{Groups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create", "get"}}),
		"pods/exec": granted(t, readRule("", "pods")),
	} {
		a := writing(t, b, &person{Says: "accept"}).Call("k8s_execute_command", inBox(ns, "echo", "hello"))
		require.True(t, a.IsError)
		require.Contains(t, a.Text, ":server may not", name)
		require.Contains(t, a.Text, fmt.Sprintf(`resource %q`, name))
	}
}

func TestExecuteCommandFallsBackToSPDY(t *testing.T) {
	t.Parallel()
	ns := box(t)
	createAlone := granted(t, readRule("", "pods"), mcpkit.Rule{Groups: []string{""}, Resources: []string{"pods/exec"}, Verbs: []string{"create"}})
	var out ExecuteCommandOut
	writing(t, createAlone, &person{Says: "accept"}).
		Call("k8s_execute_command", inBox(ns, "sh", "-c", "echo over; exit 4")).Into(t, &out)
	require.Equal(t, "over\n", out.Stdout)
	require.Equal(t, 4, *out.ExitCode)
}

func TestExecuteCommandEndsWithItsCall(t *testing.T) {
	t.Parallel()
	ns := box(t)
	b := admin(t)
	in := ExecuteCommandIn{PodName: "box", Namespace: ns, Command: []string{"sh", "-c", "echo begun >/proc/1/fd/1; sleep 1000"}}
	plan, err := b.planExec(t.Context(), in)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := b.exec(ctx, in, plan)
		ended <- err
	}()
	within(t, "the command has begun", func() bool {
		log, err := testClients(t).typed.CoreV1().Pods(ns).GetLogs("box", &corev1.PodLogOptions{}).DoRaw(t.Context())
		return err == nil && string(log) == "begun\n"
	})
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func FuzzEnds(f *testing.F) {
	f.Add([]byte("one\ntwo\nthree\nfour\nfive\n"), 3)
	f.Add([]byte("\xff\xfe\x00"), 1)
	f.Add([]byte("h\u00e9h\u00e9h\u00e9h\u00e9h\u00e9h\u00e9h\u00e9h\u00e9"), 5)
	f.Fuzz(func(t *testing.T, data []byte, step int) {
		const size = 16
		e := newEnds(size)
		for rest := data; len(rest) > 0; {
			n := min(max(step, 1), len(rest))
			_, _ = e.Write(rest[:n])
			rest = rest[n:]
		}
		kept, missing := e.text()
		require.LessOrEqual(t, len(e.tail), 2*size)
		if missing == "" {
			require.Equal(t, strings.ToValidUTF8(string(data), "\uFFFD"), kept)
			require.LessOrEqual(t, len(data), size)
			return
		}
		require.LessOrEqual(t, len(kept), 3*size+64)
	})
}
