package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changing is a Deployment of no pods, so that nothing but its history happens.
const changing = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: %d
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: web
        image: %s
        env: [{name: TIMEOUT, value: %s}, {name: DB_PASSWORD, value: %s}]
        envFrom: [{configMapRef: {name: settings}}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: %q}
`

// changed lists the changes of a namespace as "object: change".
func changed(t *testing.T, b *Backend, args map[string]any) (ListChangesOut, string) {
	t.Helper()
	var out ListChangesOut
	serve(t, b, mcpkit.AccessRead, nil).Call("k8s_list_changes", args).Into(t, &out)
	var lines []string
	for _, row := range out.Rows {
		lines = append(lines, row[len(row)-3]+": "+row[len(row)-2]+" by "+row[len(row)-1])
	}
	return out, strings.Join(lines, "\n")
}

func TestListChangesTellsRolloutScalingAndConfig(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), granted(t, listChanges.Rules...)
	apply(t, ns, fmt.Sprintf(changing, 0, "shop/web:1", "5s", "hush-hush-1", "info"))
	rolled := func(revision string) func() bool {
		return func() bool {
			o := live(t, "deploy", ns, "web")
			return o != nil && o.GetAnnotations()["deployment.kubernetes.io/revision"] == revision
		}
	}
	within(t, "the first revision is there", rolled("1"))
	apply(t, ns, fmt.Sprintf(changing, 0, "shop/web:2", "50ms", "hush-hush-2", "info"))
	within(t, "the second revision is there", rolled("2"))

	out, lines := changed(t, b, map[string]any{"namespace": ns})
	require.Equal(t, []string{"time", "ago", "object", "change", "by"}, out.Columns)
	require.Regexp(t, `Deployment/web: rolled out revision 2 after 1: containers\[web\]\.image: shop/web:1 -> shop/web:2; `+
		`containers\[web\]\.env\[TIMEOUT\]\.value: 5s -> 50ms; containers\[web\]\.env\[DB_PASSWORD\]\.value: redacted:\w{8} -> redacted:\w{8} by test`, lines)
	require.Contains(t, lines, "Deployment/web: created: shop/web:2 by test")
	require.Contains(t, lines, "ConfigMap/settings: created; used by Deployment/web by test")
	require.NotContains(t, lines, "hush-hush")
	require.Empty(t, out.NotLookedAt)
	require.False(t, out.Truncated)
}

func TestListChangesRanksWhatCameBeforeAMoment(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: late}, data: {a: b}}`)
	at := live(t, "cm", ns, "late").GetCreationTimestamp().Add(time.Minute)
	out, _ := changed(t, admin(t), map[string]any{"namespace": ns, "at": at.UTC().Format(time.RFC3339)})
	require.Equal(t, []string{"60s before: " + ns + "/ConfigMap/late: created"}, out.Nearest)

	out, lines := changed(t, admin(t), map[string]any{"namespace": ns, "at": at.Add(-2 * time.Minute).UTC().Format(time.RFC3339), "until": at.Add(-90 * time.Second).UTC().Format(time.RFC3339)})
	require.Equal(t, []string{"nothing changed before it in the window"}, out.Nearest)
	require.Empty(t, lines)
	require.Equal(t, "nothing changed in the window, as far as was looked", out.Found)
}

func TestListChangesSaysWhatItLeftOut(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	for i := range 5 {
		apply(t, ns, fmt.Sprintf(`{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}}`, i))
	}
	out, _ := changed(t, admin(t), map[string]any{"namespace": ns, "limit": 2})
	require.True(t, out.Truncated)
	require.Len(t, out.Rows, 2)
	require.Equal(t, "rows: the newest 2 of 5 changes; raise limit, or name a namespace or a shorter window", out.LeftOut)
}

func TestListChangesSaysWhatItWasDenied(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: seen}, data: {a: b}}`)
	out, lines := changed(t, granted(t, readRule("", "configmaps", "namespaces")), map[string]any{"namespace": ns})
	require.Contains(t, lines, "ConfigMap/seen: created")
	require.Contains(t, strings.Join(out.NotLookedAt, "\n"), "deployments: denied")

	s := serve(t, granted(t, readRule("", "secrets")), mcpkit.AccessRead, nil)
	a := s.Call("k8s_list_changes", map[string]any{"namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: ")
}

func TestListChangesRefusesWhatCannotBe(t *testing.T) {
	t.Parallel()
	s := reading(t)
	a := s.Call("k8s_list_changes", map[string]any{"namespace": "no-such-namespace"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "not_found: ")
	a = s.Call("k8s_list_changes", map[string]any{"since": "5m", "until": "10m"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "invalid: the window is empty")
}

func TestLastEditPassesOverStatus(t *testing.T) {
	t.Parallel()
	early, late := metav1.NewTime(time.Unix(100, 0)), metav1.NewTime(time.Unix(200, 0))
	got := lastEdit([]metav1.ManagedFieldsEntry{
		{Manager: "person", Time: &early},
		{Manager: "controller", Time: &late, Subresource: "status"},
	})
	require.Equal(t, "person", got.Manager)
}
