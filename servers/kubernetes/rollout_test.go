package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func rolling(ns, action, kind string) map[string]any {
	return map[string]any{"action": action, "resource_type": kind, "resource_name": "web", "namespace": ns}
}

// revised is a deployment "web" of three revisions, the first for a cause.
func revised(t testing.TB) (ns string) {
	t.Helper()
	ns = namespace(t)
	apply(t, ns, strings.Replace(webDeployment, "name: web}", "name: web, annotations: {kubernetes.io/change-cause: first}}", 1))
	for i, patch := range []string{
		"",
		`{"metadata":{"annotations":{"kubernetes.io/change-cause":"second"}},"spec":{"template":{"spec":{"containers":[{"name":"web","image":"toolcrib.test/busybox:1","command":["sleep","2000"],"env":[{"name":"API_TOKEN","value":"correct-horse-battery"}]}]}}}}`,
		`{"metadata":{"annotations":{"kubernetes.io/change-cause":"third"}},"spec":{"template":{"spec":{"terminationGracePeriodSeconds":3}}}}`,
	} {
		if patch != "" {
			poke(t, "deploy", ns, "web", patch)
		}
		within(t, "revision is kept", func() bool {
			return strings.Contains(at(t, "deploy", ns, "web", "metadata.annotations"), fmt.Sprintf(`"deployment.kubernetes.io/revision":"%d"`, i+1))
		})
	}
	return ns
}

func TestRolloutIsGated(t *testing.T) {
	t.Parallel()
	const annotations = "spec.template.metadata.annotations"
	for _, c := range []struct {
		action        string
		shown         []string
		state         func(ns string) string
		before, after string
		again         string
	}{
		{"restart", []string{"+ " + annotations + "[" + restartedAt + "]: (set anew)", "its pod template changes, so its pods are replaced"},
			func(ns string) string {
				return fmt.Sprint(strings.Contains(at(t, "deploy", ns, "web", annotations), restartedAt))
			}, "false", "true", `"web"`},
		{"pause", []string{"+ spec.paused: true", "until it is resumed"},
			func(ns string) string { return at(t, "deploy", ns, "web", "spec.paused") }, "null", "true", ""},
		{"resume", []string{"- spec.paused: true"},
			func(ns string) string { return at(t, "deploy", ns, "web", "spec.paused") }, "true", "null", ""},
	} {
		t.Run(c.action, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			apply(t, ns, webDeployment)
			if c.action == "resume" {
				poke(t, "deploy", ns, "web", `{"spec":{"paused":true}}`)
			}
			within(t, "it was seen", func() bool { return at(t, "deploy", ns, "web", "status.observedGeneration") != "null" })
			requireGated(t, gatedWrite{
				Tool: actOnRollout, Args: rolling(ns, c.action, "deploy"), Shown: c.shown,
				State:   func() string { return c.state(ns) },
				Before:  c.before,
				After:   c.after,
				Disturb: func() { poke(t, "deploy", ns, "web", `{"metadata":{"labels":{"a":"b"}}}`) },
				Restore: func() {},
				Again:   c.again,
			})
			requireDenied(t, actOnRollout, rolling(ns, c.action, "deploy"))
		})
	}
}

func TestRolloutUndoIsGated(t *testing.T) {
	t.Parallel()
	ns := revised(t)
	args := rolling(ns, "undo", "deployments")
	args["to_revision"] = 1
	requireGated(t, gatedWrite{
		Tool: actOnRollout, Args: args,
		Shown: []string{
			"~ metadata.annotations[kubernetes.io/change-cause]: third -> first",
			`~ spec.template.spec.containers[web].command: [sleep, "2000"] -> [sleep, "1000"]`,
			"- spec.template.spec.containers[web].env: [{name: API_TOKEN, value: redacted:",
			"~ spec.template.spec.terminationGracePeriodSeconds: 3 -> 30",
			"Note: its pod template changes, so its pods are replaced",
			"Note: it goes back to revision 1, made 20",
		},
		State:   func() string { return at(t, "deploy", ns, "web", "spec.template.spec.terminationGracePeriodSeconds") },
		Before:  "3",
		After:   "30",
		Disturb: func() { poke(t, "deploy", ns, "web", `{"metadata":{"labels":{"a":"b"}}}`) },
		Restore: func() {},
		Again:   `"web"`, // as revision 1 until its controller has counted on
	})
	require.Contains(t, at(t, "deploy", ns, "web", "metadata.annotations"), `"kubernetes.io/change-cause":"first"`)
	require.NotContains(t, at(t, "deploy", ns, "web", "spec.template"), "pod-template-hash")
}

func TestRolloutUndoGoesBackOne(t *testing.T) {
	t.Parallel()
	ns := revised(t)
	p := &person{Says: "accept"}
	a := writing(t, granted(t, actOnRollout.Rules...), p).Call("k8s_rollout", rolling(ns, "undo", "deploy"))
	require.False(t, a.IsError, a.Text)
	require.Equal(t, `result: done
diff:
~ metadata.annotations[kubernetes.io/change-cause]: third -> second
~ spec.template.spec.terminationGracePeriodSeconds: 3 -> 30
`, a.Text[:strings.Index(a.Text, "object\t")])
	require.NotContains(t, a.Text+p.Asked[0], "correct-horse")
}

func TestRolloutUndoOfOtherWorkloads(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"StatefulSet", "DaemonSet"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			ns := namespace(t)
			apply(t, ns, `{apiVersion: apps/v1, kind: `+kind+`, metadata: {name: web}, spec: {updateStrategy: {type: OnDelete}, selector: {matchLabels: {app: web}},
			  template: {metadata: {labels: {app: web}}, spec: {nodeSelector: {no: such}, containers: [{name: web, image: "toolcrib.test/busybox:1"}]}}}}`)
			revisions := func(n int) func() bool {
				return func() bool {
					list, err := testClients(t).typed.AppsV1().ControllerRevisions(ns).List(t.Context(), metav1.ListOptions{})
					return err == nil && len(list.Items) == n
				}
			}
			within(t, "the first revision is kept", revisions(1))
			s := writing(t, granted(t, actOnRollout.Rules...), &person{Says: "accept"})
			require.Contains(t, s.Call("k8s_rollout", rolling(ns, "undo", kind)).Text, "has no earlier revision to go back to")
			poke(t, kind, ns, "web", `{"spec":{"template":{"spec":{"hostname":"new"}}}}`)
			within(t, "the second revision is kept", revisions(2))

			p := &person{Says: "accept"}
			a := writing(t, granted(t, actOnRollout.Rules...), p).Call("k8s_rollout", rolling(ns, "undo", kind))
			require.False(t, a.IsError, a.Text)
			require.Contains(t, p.Asked[0], "\n\n- spec.template.spec.hostname: new\n\n")
			require.Contains(t, p.Asked[0], "Note: it goes back to revision 1, made 20")
			require.Contains(t, p.Asked[0], "Note: its update strategy is OnDelete")
			require.Equal(t, "null", at(t, kind, ns, "web", "spec.template.spec.hostname"))
		})
	}
}

func TestRolloutRefusals(t *testing.T) {
	t.Parallel()
	ns := revised(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}`)
	b := admin(t)
	for _, c := range []struct {
		args map[string]any
		says string
	}{
		{map[string]any{"action": "undo", "resource_type": "deploy", "resource_name": "web", "namespace": ns, "to_revision": 9}, `not_found: no revision 9 of deployments.apps "web" in namespace "` + ns + `" is kept; there are 1, 2, 3`},
		{map[string]any{"action": "pause", "resource_type": "deploy", "resource_name": "web", "namespace": ns, "to_revision": 2}, "invalid: to_revision belongs to action undo"},
		{map[string]any{"action": "status", "resource_type": "deploy", "resource_name": "web", "namespace": ns}, `invalid: argument "action"`},
		{rolling(ns, "restart", "cm"), "it works for deployments.apps, statefulsets.apps, daemonsets.apps"},
		{rolling(ns, "pause", "cm"), "it works for deployments.apps"},
		{map[string]any{"action": "restart", "resource_type": "deploy", "resource_name": "wep", "namespace": ns}, `not_found: no deployments.apps "wep"`},
	} {
		p := &person{}
		a := writing(t, b, p).Call("k8s_rollout", c.args)
		require.True(t, a.IsError)
		require.Contains(t, a.Text, c.says)
		require.Empty(t, p.Asked)
	}
	blind := granted(t, mcpkit.Rule{Groups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"get", "list", "patch"}})
	a := writing(t, blind, &person{}).Call("k8s_rollout", rolling(ns, "undo", "deploy"))
	require.Contains(t, a.Text, ":server may not list replicasets.apps")

	poke(t, "deploy", ns, "web", `{"spec":{"paused":true}}`)
	for _, action := range []string{"restart", "undo"} {
		a := writing(t, b, &person{}).Call("k8s_rollout", rolling(ns, action, "deploy"))
		require.Contains(t, a.Text, "conflict: ")
		require.Contains(t, a.Text, "is paused, so its pods would not follow; resume it first")
	}
}

func TestRolloutRestartedTwiceShowsNoTime(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, webDeployment)
	poke(t, "deploy", ns, "web", `{"spec":{"template":{"metadata":{"annotations":{"`+restartedAt+`":"2020-01-01T00:00:00Z","other":"stays"}}}}}`)
	p := &person{Says: "accept"}
	a := writing(t, admin(t), p).Call("k8s_rollout", rolling(ns, "restart", "deploy"))
	require.Contains(t, p.Asked[0], "\n\n~ spec.template.metadata.annotations["+restartedAt+"]: (set anew)\n\n")
	require.Contains(t, a.Text, "2020-01-01T00:00:00Z")
	require.Contains(t, at(t, "deploy", ns, "web", "spec.template.metadata.annotations"), `"other":"stays"`)
}
