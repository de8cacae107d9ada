package kubernetes

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// person answers every question alike and remembers what they were asked.
type person struct {
	says  string
	asked []string
	first func() // happens while the person thinks
}

func (p *person) decide(message string) string {
	p.asked = append(p.asked, message)
	if p.first != nil {
		p.first()
	}
	return p.says
}

// writing is a session of the write server over b with p at the client.
func writing(t testing.TB, b *Backend, p *person) *mcptest.Session {
	t.Helper()
	return serve(t, b, mcpkit.AccessWrite, p.decide)
}

// gatedWrite is one call of a write tool and how to see what came of it.
type gatedWrite struct {
	tool    mcpkit.Tool
	args    map[string]any
	shown   []string // parts of the plan the person sees
	state   func() string
	before  string
	after   string
	disturb func()        // makes the plan stale; undone by restore
	restore func()        // brings back what state was
	again   string        // what a repeated call answers; a no-op if empty
	rules   []mcpkit.Rule // besides the tool's own, such as for what an operator adds
}

// requireGated holds a write tool to what every one promises: nothing happens
// without a person, or when things changed while the person thought; with
// their consent exactly the planned thing happens; and all of it with the
// rules the tool states. It leaves the write done.
func requireGated(t *testing.T, w gatedWrite) {
	t.Helper()
	b := granted(t, append(w.rules, w.tool.Rules...)...)
	require.Equal(t, w.before, w.state(), "before anything")

	mute := serve(t, b, mcpkit.AccessWrite, nil).Call(w.tool.Name, w.args)
	require.True(t, mute.IsError, mute.Text)
	require.Contains(t, mute.Text, "denied: a person must approve")
	require.Equal(t, w.before, w.state(), "a client that cannot ask")

	no := &person{says: "decline"}
	refused := writing(t, b, no).Call(w.tool.Name, w.args)
	require.True(t, refused.IsError, refused.Text)
	require.Contains(t, refused.Text, "denied: the person declined")
	require.Len(t, no.asked, 1)
	for _, part := range w.shown {
		require.Contains(t, no.asked[0], part)
		require.Contains(t, mute.Text, part)
	}
	require.Equal(t, w.before, w.state(), "declined")

	late := &person{says: "accept", first: w.disturb}
	stale := writing(t, b, late).Call(w.tool.Name, w.args)
	require.True(t, stale.IsError, stale.Text)
	require.Contains(t, stale.Text, "conflict: ")
	w.restore()
	require.Equal(t, w.before, w.state(), "stale")

	yes := &person{says: "accept"}
	done := writing(t, b, yes).Call(w.tool.Name, w.args)
	require.False(t, done.IsError, done.Text)
	require.Equal(t, w.after, w.state(), "accepted")

	idle := &person{says: "accept"}
	again := writing(t, b, idle).Call(w.tool.Name, w.args)
	if w.again == "" {
		require.Empty(t, idle.asked)
		require.False(t, again.IsError, again.Text)
		require.Contains(t, again.Text, "nothing was written")
	} else {
		require.Contains(t, again.Text, w.again)
	}
	require.Equal(t, w.after, w.state(), "again")
}

// requireDenied checks that a write the server's role does not allow fails
// before anyone is asked.
func requireDenied(t *testing.T, tool mcpkit.Tool, args map[string]any) {
	t.Helper()
	p := &person{says: "accept"}
	a := writing(t, granted(t, readable...), p).Call(tool.Name, args)
	require.True(t, a.IsError, a.Text)
	require.Contains(t, a.Text, "denied: the cluster's RBAC does not let this server")
	require.Empty(t, p.asked)
}

// live reads an object as cluster-admin, nil when it is gone.
func live(t testing.TB, resource, ns, name string) *unstructured.Unstructured {
	t.Helper()
	b := admin(t)
	kind, err := b.resolve(t.Context(), resource)
	require.NoError(t, err)
	obj, err := testClients(t).in(kind, ns).Get(context.WithoutCancel(t.Context()), name, metav1.GetOptions{})
	if err != nil {
		require.ErrorContains(t, err, "not found")
		return nil
	}
	return obj
}

// at is the value at a dotted path of a live object, as JSON.
func at(t testing.TB, resource, ns, name, path string) string {
	t.Helper()
	obj := live(t, resource, ns, name)
	if obj == nil {
		return "gone"
	}
	v, _, err := unstructured.NestedFieldNoCopy(obj.Object, strings.Split(path, ".")...)
	require.NoError(t, err)
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return string(raw)
}

// poke merges a patch into an object as cluster-admin, behind the server's back.
func poke(t testing.TB, resource, ns, name, patch string, sub ...string) {
	t.Helper()
	kind, err := admin(t).resolve(t.Context(), resource)
	require.NoError(t, err)
	_, err = testClients(t).in(kind, ns).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, sub...)
	require.NoError(t, err)
}

const webDeployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 0, selector: {matchLabels: {app: web}},
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "toolcrib.test/busybox:1", command: [sleep, "1000"]}]}}}}`

// patched is a planned patch of a ConfigMap "cm", between plan and deed.
func patched(t *testing.T, b *Backend, ns string) mcpkit.Plan {
	t.Helper()
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {a: "1"}}`)
	plan, err := b.planPatch(t.Context(), PatchResourceIn{
		Ref: Ref{ResourceType: "cm", ResourceName: "cm", Namespace: ns}, Patch: `{data: {a: "2"}}`,
	})
	require.NoError(t, err)
	return plan
}

func TestChangeIsNotMadeOnAnotherVersionThanPlanned(t *testing.T) {
	t.Parallel()
	b, ns := admin(t), namespace(t)
	plan := patched(t, b, ns)
	poke(t, "cm", ns, "cm", `{"data":{"b":"new"}}`)
	_, err := b.carryOut(t.Context(), plan)
	require.ErrorContains(t, err, "changed while this was being done")
	require.Equal(t, `{"a":"1","b":"new"}`, at(t, "cm", ns, "cm", "data"))
}

func TestChangeIsNotMadeOnAnotherObjectOfThatName(t *testing.T) {
	t.Parallel()
	b, ns := admin(t), namespace(t)
	plan := patched(t, b, ns)
	require.NoError(t, testClients(t).typed.CoreV1().ConfigMaps(ns).Delete(t.Context(), "cm", metav1.DeleteOptions{}))
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {a: "1"}}`)
	_, err := b.carryOut(t.Context(), plan)
	require.ErrorContains(t, err, "changed while this was being done")
	require.Equal(t, `{"a":"1"}`, at(t, "cm", ns, "cm", "data"))
}

func TestChangeOutlivesAStatusThatMoves(t *testing.T) {
	t.Parallel()
	b, ns := admin(t), namespace(t)
	apply(t, ns, webDeployment)
	plan, err := b.planPatch(t.Context(), PatchResourceIn{
		Ref: Ref{ResourceType: "deploy", ResourceName: "web", Namespace: ns}, Patch: `{spec: {paused: true}}`,
	})
	require.NoError(t, err)
	poke(t, "deploy", ns, "web", `{"status":{"collisionCount":7}}`, "status")
	out, err := b.carryOut(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, "+ spec.paused: true", out.Diff)
	require.Equal(t, "true", at(t, "deploy", ns, "web", "spec.paused"))
}

func TestChangesStopAtTheFirstRefusal(t *testing.T) {
	t.Parallel()
	b, ns := admin(t), namespace(t)
	cm, err := b.resolve(t.Context(), "cm")
	require.NoError(t, err)
	var changes []change
	for _, name := range []string{"one", "two", "three"} {
		changes = append(changes, change{action: creating, t: cm, namespace: ns, name: name, object: map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name},
		}})
	}
	plan, err := b.plan(t.Context(), changes...)
	require.NoError(t, err)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: two}, data: {other: hand}}`)
	_, err = b.carryOut(t.Context(), plan)
	require.EqualError(t, err, strings.ReplaceAll(`conflict: stopped at configmaps "two" in namespace "NS": configmaps "two" in namespace "NS" exists already; change it with k8s_apply_manifest or k8s_patch_resource
changed before it: configmaps "one" in namespace "NS"
not changed: configmaps "two" in namespace "NS", configmaps "three" in namespace "NS"`, "NS", ns))
	require.NotNil(t, live(t, "cm", ns, "one"))
	require.Nil(t, live(t, "cm", ns, "three"))
}
