package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	authv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
)

// person decides about writes in tests.
type person = mcptest.Person

// writing is a session of the write server over b with p at the client.
func writing(t testing.TB, b *Backend, p *person) *mcptest.Session {
	t.Helper()
	return serve(t, b, mcpkit.AccessWrite, p.Decide)
}

// gatedWrite is one call of a write tool and how to see what came of it.
type gatedWrite = mcptest.GatedWrite

// requireGated holds a write tool to what every one promises, with no more than
// the rules that the tool states.
func requireGated(t *testing.T, w gatedWrite) {
	t.Helper()
	b := granted(t, append(w.Rules, w.Tool.Rules...)...)
	w.Log = watched(t, b)
	mcptest.RequireGated(t, toolset(b), w)
}

// watched returns what tells which writes b's user has made since it was last
// asked, as the API server's audit log has them, dry runs and refused ones apart.
func watched(t *testing.T, b *Backend) func() []string {
	t.Helper()
	if cluster().External() {
		return nil // somebody else's cluster, whose audit log is not ours to read
	}
	c, err := b.open()
	require.NoError(t, err)
	me, err := c.typed.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authv1.SelfSubjectReview{}, metav1.CreateOptions{})
	require.NoError(t, err)
	mark, err := cluster().AuditMark()
	require.NoError(t, err)
	return func() []string {
		t.Helper()
		events, err := cluster().Audit(mark)
		require.NoError(t, err)
		mark, err = cluster().AuditMark()
		require.NoError(t, err)
		got := []string{}
		for _, e := range events {
			if e.User != me.Status.UserInfo.Username || e.Stage != "ResponseComplete" || e.Code >= 400 || !writes(e) {
				continue
			}
			resource := e.Resource
			if e.Subresource != "" {
				resource += "/" + e.Subresource
			}
			got = append(got, e.Verb+" "+resource+" "+e.Name)
		}
		return got
	}
}

// requireDenied checks that a write the server's role does not allow fails
// before anyone is asked.
func requireDenied(t *testing.T, tool mcpkit.Tool, args map[string]any) {
	t.Helper()
	p := &person{Says: "accept"}
	a := writing(t, granted(t, readable...), p).Call(tool.Name, args)
	require.True(t, a.IsError, a.Text)
	require.Contains(t, a.Text, ":server may not")
	require.Empty(t, p.Asked)
}

// live reads an object as cluster-admin, nil when it is gone.
func live(t testing.TB, resource, ns, name string) *unstructured.Unstructured {
	t.Helper()
	obj, err := testClients(t).in(typeOf(t, resource), ns).Get(context.WithoutCancel(t.Context()), name, metav1.GetOptions{})
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
	_, err := testClients(t).in(typeOf(t, resource), ns).Patch(t.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{}, sub...)
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

func TestChangeIsNotMadeOnWhatWasChangedAndChangedBack(t *testing.T) {
	t.Parallel()
	b, ns := admin(t), namespace(t)
	apply(t, ns, webDeployment)
	for _, plan := range []func() (mcpkit.Plan, error){
		func() (mcpkit.Plan, error) {
			return b.planPatch(t.Context(), PatchResourceIn{Ref: Ref{ResourceType: "deploy", ResourceName: "web", Namespace: ns}, Patch: `{spec: {paused: true}}`})
		},
		func() (mcpkit.Plan, error) {
			return b.planScale(t.Context(), ScaleIn{Name: "web", Namespace: ns, Replicas: 3})
		},
	} {
		first, err := plan()
		require.NoError(t, err)
		poke(t, "deploy", ns, "web", `{"spec":{"replicas":1}}`)
		poke(t, "deploy", ns, "web", `{"spec":{"replicas":0}}`)
		second, err := plan()
		require.NoError(t, err)
		require.Equal(t, first.Diff, second.Diff)
		require.NotEqual(t, first.Seen, second.Seen)
		_, err = b.carryOut(t.Context(), first)
		require.ErrorContains(t, err, "changed while this was being done")
	}
}

func TestChangeOutlivesAStatusThatMoves(t *testing.T) {
	t.Parallel()
	b, ns := admin(t), namespace(t)
	apply(t, ns, webDeployment)
	in := PatchResourceIn{Ref: Ref{ResourceType: "deploy", ResourceName: "web", Namespace: ns}, Patch: `{spec: {paused: true}}`}
	plan, err := b.planPatch(t.Context(), in)
	require.NoError(t, err)
	poke(t, "deploy", ns, "web", `{"status":{"collisionCount":7}}`, "status")
	again, err := b.planPatch(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, plan.Seen, again.Seen)
	poke(t, "deploy", ns, "web", `{"status":{"collisionCount":8}}`, "status")
	out, err := b.carryOut(t.Context(), plan)
	require.NoError(t, err)
	require.Equal(t, "+ spec.paused: true", out.Diff)
	require.Equal(t, "true", at(t, "deploy", ns, "web", "spec.paused"))
}

func TestChangeRefusesWhatIsNoName(t *testing.T) {
	t.Parallel()
	s := writing(t, admin(t), &person{Says: "accept"})
	for _, name := range []string{"", "..", "a/b", "a%2fb"} {
		for _, c := range []struct {
			tool string
			args map[string]any
		}{
			{"k8s_delete_resource", map[string]any{"resource_type": "cm", "resource_name": name}},
			{"k8s_patch_resource", map[string]any{"resource_type": "cm", "resource_name": name, "patch": "{}"}},
			{"k8s_apply_manifest", map[string]any{"manifest": `{apiVersion: v1, kind: ConfigMap, metadata: {name: "` + name + `"}}`}},
			{"k8s_create_resource", map[string]any{"yaml_content": `{apiVersion: v1, kind: ConfigMap, metadata: {name: x}}`, "namespace": name + "/"}},
		} {
			a := s.Call(c.tool, c.args)
			require.True(t, a.IsError, c.args)
			require.Regexp(t, "^invalid: .*(is not a name|resource_name is empty|has no metadata.name)", a.Text, c.tool)
		}
	}
}

func TestChangeOfManyFieldsIsShownInPart(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}}`)
	var patch strings.Builder
	patch.WriteString("data:\n")
	for i := range 300 {
		fmt.Fprintf(&patch, "  key%03d: %s\n", i, strings.Repeat("v", 200))
	}
	p := &person{Says: "accept"}
	a := writing(t, admin(t), p).Call("k8s_patch_resource", map[string]any{"resource_type": "cm", "resource_name": "cm", "namespace": ns, "patch": patch.String()})
	require.Contains(t, p.Asked[0], "bytes shown)")
	require.Less(t, len(p.Asked[0]), 10<<10)
	var out ChangeOut
	a.Into(t, &out)
	require.True(t, out.Truncated)
	require.NotEmpty(t, out.LeftOut)
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	require.Len(t, live(t, "cm", ns, "cm").Object["data"], 300)
}

// broken carries out requests and then loses the answer of those that write.
type broken struct{ next http.RoundTripper }

func (b broken) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := b.next.RoundTrip(r)
	if err == nil && r.Method != http.MethodGet && !strings.Contains(r.URL.RawQuery, "dryRun") {
		res.Body.Close()
		return nil, errors.New("connection reset by peer")
	}
	return res, err
}

func TestChangeWithoutAnAnswerIsNotCalledUndone(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), admin(t)
	c, err := b.open()
	require.NoError(t, err)
	to := *c.Connection
	to.HTTP = &http.Client{Transport: broken{to.HTTP.Transport}}
	c, err = newClients(&to)
	require.NoError(t, err)
	b.open = func() (*clients, error) { return c, nil }
	_, err = b.carryOut(t.Context(), patched(t, b, ns))
	require.EqualError(t, err, `unavailable: the answer to patch configmaps "cm" in namespace "`+ns+`" got lost, so whether it was done is not known; look before you try again`)
	require.Equal(t, `{"a":"2"}`, at(t, "cm", ns, "cm", "data"))
}

func TestWriteRoleHoldsNothingThatOpensOthers(t *testing.T) {
	t.Parallel()
	ts := toolset(New(Config{AllowedURLHosts: []string{"example.com"}}))
	for _, r := range ts.Rules(mcpkit.AccessWrite) {
		for _, list := range [][]string{r.Groups, r.Resources, r.Verbs} {
			require.NotContains(t, list, "*")
		}
		for _, group := range []string{"rbac.authorization.k8s.io", "admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "certificates.k8s.io"} {
			require.NotContains(t, r.Groups, group)
		}
		for _, resource := range []string{"secrets", "serviceaccounts/token"} {
			require.NotContains(t, r.Resources, resource)
		}
		if slices.Contains(r.Resources, "persistentvolumes") {
			require.Equal(t, []string{"get", "list"}, r.Verbs)
		}
		for _, verb := range []string{"escalate", "bind", "impersonate", "deletecollection"} {
			require.NotContains(t, r.Verbs, verb)
		}
	}
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
