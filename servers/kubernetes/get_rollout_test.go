package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/polymorphichelpers"
)

// workload is a manifest of any kind of workload that runs a container app.
func workload(kind, name, image, extra, container string) string {
	more := ""
	if kind == "StatefulSet" {
		more = "  serviceName: " + name + "\n"
	}
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: %s
metadata: {name: %s}
spec:
%s  selector: {matchLabels: {app: %s}}
%s  template:
    metadata: {labels: {app: %s}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: %s
        command: [sleep, "3600"]
%s`, kind, name, more, name, extra, name, image, container)
}

const (
	goodImage = "toolcrib.test/busybox:1"
	badImage  = "toolcrib.test/absent:9"
)

// rolloutIs waits until the tool reports a state, and a reason that matches.
func rolloutIs(t testing.TB, s *mcptest.Session, kind, ns, name, state, why string) GetRolloutOut {
	t.Helper()
	var out GetRolloutOut
	within(t, fmt.Sprintf("%s of %s %s", state, kind, name), func() bool {
		s.Call("k8s_get_rollout", map[string]any{"resource_type": kind, "resource_name": name, "namespace": ns}).Into(t, &out)
		return out.State == state && strings.Contains(strings.Join(out.Why, "\n"), why)
	})
	return out
}

func TestGetRolloutOfADeployment(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := serve(t, granted(t, getRollout.Rules...), mcpkit.AccessRead, nil)
	apply(t, ns, workload("Deployment", "web", goodImage, "", `        env: [{name: LEVEL, value: warn}, {name: DB_PASSWORD, value: hush-hush}]`))
	out := rolloutIs(t, s, "deploy", ns, "web", "complete", "")
	require.Equal(t, []string{`deployment "web" successfully rolled out`}, out.Why)
	require.Equal(t, "1 wanted, 1 there, 1 updated, 1 ready, 1 available", out.Pods)
	require.Equal(t, "nothing: there is no earlier revision", out.Undo)
	require.Equal(t, "(first known) app="+goodImage, out.Revisions.Rows[0][4])

	apply(t, ns, workload("Deployment", "web", goodImage, "", `        env: [{name: LEVEL, value: debug}, {name: DB_PASSWORD, value: open-secret}]`))
	rolloutIs(t, s, "deploy", ns, "web", "complete", "")
	apply(t, ns, workload("Deployment", "web", badImage, "", `        env: [{name: LEVEL, value: debug}, {name: DB_PASSWORD, value: open-secret}]`))
	poke(t, "deployments.apps", ns, "web", `{"metadata":{"annotations":{"kubernetes.io/change-cause":"new registry"}}}`)
	out = rolloutIs(t, s, "deploy", ns, "web", "stuck", "cannot be pulled")
	require.Contains(t, out.Why[0], `Waiting for deployment "web" rollout to finish: `)
	require.Contains(t, out.Why[1], badImage)
	require.Regexp(t, `^to revision 2 \(web-\w+, \w+ old\): app=`+goodImage+`$`, out.Undo)
	require.Equal(t, []string{"containers[app].image: " + badImage + " -> " + goodImage}, out.Undoes)
	rows := out.Revisions.Rows
	require.Equal(t, []string{"revision", "age", "name", "pods", "changed", "cause"}, out.Revisions.Columns)
	require.Equal(t, []string{"3", "2", "1"}, []string{rows[0][0], rows[1][0], rows[2][0]})
	require.Equal(t, "containers[app].image: "+goodImage+" -> "+badImage, rows[0][4])
	require.Regexp(t, `^containers\[app\]\.env\[LEVEL\]\.value: warn -> debug; containers\[app\]\.env\[DB_PASSWORD\]\.value: redacted:\w{8} -> redacted:\w{8}$`, rows[1][4])
	require.Equal(t, []string{"0 of 1 ready", "1 of 1 ready"}, []string{rows[0][3], rows[1][3]})
	a := s.Call("k8s_get_rollout", map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns, "limit": 1})
	require.NotContains(t, a.Text, "hush-hush")
	require.NotContains(t, a.Text, "open-secret")
	a.Into(t, &out)
	require.True(t, out.Truncated)
	require.Equal(t, "revisions: the newest 1 of 3 shown; raise limit", out.LeftOut)
	require.Contains(t, out.Revisions.Rows[0][4], badImage)

	t.Run("undo does what was said", func(t *testing.T) {
		c := testClients(t)
		kind := schema.GroupKind{Group: "apps", Kind: "Deployment"}
		back, err := polymorphichelpers.RollbackerFor(kind, c.typed)
		require.NoError(t, err)
		_, err = back.Rollback(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "web"}}, nil, 0, cmdutil.DryRunNone)
		require.NoError(t, err)
		out := rolloutIs(t, s, "deploy", ns, "web", "complete", "")
		require.Equal(t, []string{goodImage}, images(live(t, "deployments.apps", ns, "web")))
		require.Contains(t, out.Undo, "to revision 3 (")
	})
	t.Run("paused", func(t *testing.T) {
		poke(t, "deployments.apps", ns, "web", `{"spec":{"paused":true,"template":{"metadata":{"annotations":{"a":"b"}}}}}`)
		out := rolloutIs(t, s, "deploy", ns, "web", "paused", "until it is resumed")
		require.Contains(t, out.Undo, "refused while paused; after resuming: to revision ")
	})
}

func TestGetRolloutHeldUpByAQuota(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ResourceQuota, metadata: {name: none}, spec: {hard: {pods: "0"}}}`)
	apply(t, ns, workload("Deployment", "web", goodImage, "", ""))
	out := rolloutIs(t, s, "deploy", ns, "web", "stuck", "exceeded quota: none")
	require.Contains(t, strings.Join(out.Why, "\n"), "FailedCreate: pods ")
}

func TestGetRolloutOfAStatefulSet(t *testing.T) {
	t.Parallel()
	s, ns := serve(t, granted(t, getRollout.Rules...), mcpkit.AccessRead, nil), namespace(t)
	apply(t, ns, workload("StatefulSet", "db", goodImage, "", ""))
	rolloutIs(t, s, "sts", ns, "db", "complete", "")
	apply(t, ns, workload("StatefulSet", "db", badImage, "", ""))
	out := rolloutIs(t, s, "sts", ns, "db", "stuck", "db-0: image ")
	require.Contains(t, out.Why[len(out.Why)-1], "that pod must be deleted")
	require.Equal(t, []string{"rolling out", "being replaced"}, []string{out.Revisions.Rows[0][3], out.Revisions.Rows[1][3]})
	require.Equal(t, []string{"containers[app].image: " + badImage + " -> " + goodImage}, out.Undoes)
}

func TestGetRolloutOfADaemonSet(t *testing.T) {
	t.Parallel()
	s, ns := serve(t, granted(t, getRollout.Rules...), mcpkit.AccessRead, nil), namespace(t)
	apply(t, ns, workload("DaemonSet", "agent", goodImage, "", ""))
	rolloutIs(t, s, "ds", ns, "agent", "complete", "")
	poke(t, "daemonsets.apps", ns, "agent", `{"spec":{"updateStrategy":{"type":"OnDelete","rollingUpdate":null},"template":{"metadata":{"annotations":{"a":"b"}}}}}`)
	out := rolloutIs(t, s, "ds", ns, "agent", "progressing", "update strategy OnDelete")
	require.Equal(t, "+ annotations: {a: b}", out.Revisions.Rows[0][4])
	require.Equal(t, "newest", out.Revisions.Rows[0][3])
	require.Equal(t, []string{"- annotations: {a: b}"}, out.Undoes)
}

func TestGetRolloutRefusals(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, workload("Deployment", "web", goodImage, "  replicas: 0\n", ""))
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: web}}`)
	requireRefused(t, s, "k8s_get_rollout", map[string]any{"resource_type": "deploy", "resource_name": "wep", "namespace": ns}, `not_found: no deployments.apps "wep" in namespace "`+ns+`"; the nearest names are web`)
	requireRefused(t, s, "k8s_get_rollout", map[string]any{"resource_type": "cm", "resource_name": "web", "namespace": ns}, `invalid: configmaps have no rollout`)
	requireRefused(t, serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil), "k8s_get_rollout", map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns}, "denied: ")

	var out GetRolloutOut
	part := serve(t, granted(t, readRule("apps", "deployments")), mcpkit.AccessRead, nil)
	part.Call("k8s_get_rollout", map[string]any{"resource_type": "deploy", "resource_name": "web", "namespace": ns}).Into(t, &out)
	require.Equal(t, "not known without the revisions", out.Undo)
	require.Len(t, out.NotLooked, 2)
	require.Contains(t, out.NotLooked[0], "revisions: ")
	require.Contains(t, out.NotLooked[1], "pods: ")
}
