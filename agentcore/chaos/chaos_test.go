// Package chaos_test runs an agent as a cluster does, with its model, its tool
// servers and a person who approves, and kills all of them but the person again
// and again. It refuses to go by time: what is killed next, and when, follows
// from a seed and from how far the runs have come.
package chaos_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/testbed"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
)

const (
	runs   = 200
	enough = 15 * time.Minute // for a machine that is short of everything
)

var seed = flag.Uint64("seed", 0, "what the kills follow from; random if 0")

var cluster *testbed.Cluster

func TestMain(m *testing.M) {
	os.Exit(testbed.Main(m, testbed.Options{}, func(c *testbed.Cluster) {
		cluster = c
		ctx, cancel := context.WithTimeout(context.Background(), enough)
		defer cancel()
		err := c.Install(ctx, "../../charts/locks/manifests", "../../charts/controller/manifests/roles.yaml")
		if err == nil {
			err = held(ctx)
		}
		if err != nil {
			panic(err)
		}
	}))
}

// TestEverythingIsKilledAtRandom holds what agents promise: every run comes to
// an end that says what became of it, nothing is written twice, and each
// approval serves once.
func TestEverythingIsKilledAtRandom(t *testing.T) {
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("go test ./agentcore/chaos -seed=%d", *seed)
	admin := client(t, cluster.Kubeconfig)
	ada, err := cluster.UserKubeconfig(t.Context(), person)
	require.NoError(t, err)
	kubeconfigs := accounts(t)
	makeItems(t)
	mark, err := cluster.AuditMark()
	require.NoError(t, err)
	all := victims(t, kubeconfigs)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(last(all))
		}
	})
	approve(t, client(t, ada))
	ask(t)
	untilOver(t, admin, all)

	ended := list[v1alpha1.AgentRun](t, admin, runsOf)
	require.Len(t, ended, runs)
	written := writesOf(t, admin, mark)
	outcomes := map[string]int{}
	for _, r := range ended {
		outcomes[requireStated(t, r, written)]++
	}
	requireApprovedOnce(t, list[v1alpha1.Approval](t, admin, approvalsOf), written, mark)
	t.Log(outcomes)
	require.Greater(t, outcomes["marked"], runs/4, outcomes)
	for _, v := range all {
		require.Positive(t, v.kills, v.name)
	}
}

// untilOver kills, whenever the runs have come a little further, until all are
// over.
func untilOver(t *testing.T, admin dynamic.Interface, all []*victim) {
	t.Helper()
	dice := rand.New(rand.NewPCG(*seed, 0))
	over, steps := map[string]bool{}, 0
	next := func() int { return steps + 40 + dice.IntN(120) }
	kill, left := next(), []int{}
	follow(t, admin, runsOf, func(e watch.Event) bool {
		r := as[v1alpha1.AgentRun](t, e.Object)
		requireOneRecord(t, r)
		if over[r.Name] = r.Status.Phase.Final(); !over[r.Name] {
			delete(over, r.Name)
		}
		if steps++; steps >= kill {
			if len(left) == 0 { // each has its turn, in an order that nobody knows
				left = dice.Perm(len(all))
			}
			all[left[0]].kill(t)
			left, kill = left[1:], next()
		}
		return len(over) == runs
	})
	t.Logf("%d steps", steps)
}

// approve has the person approve whatever waits, until the test ends.
func approve(t *testing.T, ada dynamic.Interface) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	yes := []byte(fmt.Sprintf(`{"status":{"decision":"Approved","decidedBy":%q}}`, person))
	go func() {
		done <- each(ctx, ada, approvalsOf, func(e watch.Event) (bool, error) {
			a, ok := e.Object.(*unstructured.Unstructured)
			if !ok || e.Type == watch.Deleted {
				return false, nil
			}
			if decision, _, _ := unstructured.NestedString(a.Object, "status", "decision"); decision != "" && decision != string(v1alpha1.DecisionPending) {
				return false, nil
			}
			_, err := ada.Resource(approvalsOf).Namespace(place).Patch(ctx, a.GetName(), "application/merge-patch+json", yes, metav1.PatchOptions{}, "status")
			if passing(err) { // it is looked at again when the watch begins anew
				return false, errAgain
			}
			return false, err
		})
	}()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
}

// follow watches objects until one makes it return true.
func follow(t *testing.T, c dynamic.Interface, of schema.GroupVersionResource, see func(watch.Event) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	defer cancel()
	require.NoError(t, each(ctx, c, of, func(e watch.Event) (bool, error) { return see(e), nil }))
}

// errAgain has a watch begin anew.
var errAgain = errors.New("look again")

// passing reports whether an API server that is short of everything may answer
// the same request later.
func passing(err error) bool {
	return apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) || apierrors.IsTooManyRequests(err) ||
		apierrors.IsInternalError(err) || apierrors.IsServiceUnavailable(err)
}

// each watches objects, those that are there first. The API server may end a
// watch at any time.
func each(ctx context.Context, c dynamic.Interface, of schema.GroupVersionResource, see func(watch.Event) (bool, error)) error {
	for pause := time.NewTicker(polling); ; {
		err := once(ctx, c, of, see)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.Is(err, errAgain) && !passing(err):
			return err
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
}

// once watches until see has seen enough, or the watch ends: then it is errAgain.
func once(ctx context.Context, c dynamic.Interface, of schema.GroupVersionResource, see func(watch.Event) (bool, error)) error {
	w, err := c.Resource(of).Namespace(place).Watch(ctx, metav1.ListOptions{})
	if err != nil {
		return fmt.Errorf("watch %s: %w", of.Resource, err)
	}
	defer w.Stop()
	for e := range w.ResultChan() {
		if e.Type == watch.Error {
			return errAgain
		}
		if done, err := see(e); done || err != nil {
			return err
		}
	}
	return errAgain
}

func list[T any](t *testing.T, c dynamic.Interface, of schema.GroupVersionResource) (out []T) {
	t.Helper()
	found, err := c.Resource(of).Namespace(place).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for i := range found.Items {
		out = append(out, as[T](t, &found.Items[i]))
	}
	return out
}

func as[T any](t *testing.T, o runtime.Object) (out T) {
	t.Helper()
	u, ok := o.(*unstructured.Unstructured)
	require.True(t, ok, o)
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &out))
	return out
}

// writesOf counts the writes to each item by the traces they left. The API server
// records no more of them as done; one that is cut off by a kill may be done and
// recorded as broken off.
func writesOf(t *testing.T, admin dynamic.Interface, mark testbed.AuditMark) map[string]int {
	t.Helper()
	events, err := cluster.Audit(mark)
	require.NoError(t, err)
	out := map[string]int{}
	for _, e := range events {
		if e.Resource == itemsOf.Resource && e.Verb == "patch" && e.User == keeperUser && e.Code == 200 && !strings.Contains(e.RequestURI, "dryRun") {
			out[e.Name]++
		}
	}
	found, err := admin.Resource(itemsOf).Namespace(place).List(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	for _, item := range found.Items {
		containers, _, err := unstructured.NestedSlice(item.Object, "template", "spec", "containers")
		require.NoError(t, err)
		left := strings.Count(fmt.Sprint(containers), "marked")
		require.LessOrEqual(t, out[item.GetName()], left, item.GetName())
		require.LessOrEqual(t, left, 1, "%s was written twice", item.GetName())
		out[item.GetName()] = left
	}
	return out
}

// requireStated requires that a run came to an end that is true, and returns it
// in a word.
func requireStated(t *testing.T, r v1alpha1.AgentRun, written map[string]int) string {
	t.Helper()
	item := "item-" + strings.TrimPrefix(r.Name, "run-")
	require.True(t, r.Status.Phase.Final(), r.Name)
	require.NotEmpty(t, r.Status.Answer+r.Status.Message, r.Name)
	switch r.Status.Answer {
	case item + " is marked.", item + " is marked, as I found.":
		require.Equal(t, v1alpha1.RunCompleted, r.Status.Phase, r.Name)
		require.Equal(t, 1, written[item], "%s says: %s", r.Name, r.Status.Answer)
		return "marked"
	case item + " is not marked.":
		return "not marked"
	}
	return string(r.Status.Phase) + ": " + r.Status.Message
}

// requireOneRecord requires that a run's record so far is that of one run,
// whoever worked on it.
func requireOneRecord(t *testing.T, r v1alpha1.AgentRun) {
	t.Helper()
	counts, turns := map[string]int{}, int32(0)
	for i, e := range r.Status.Events {
		what := fmt.Sprintf("event %d of %s: %s of %q", i, r.Name, e.Type, e.Call)
		switch e.Type {
		case v1alpha1.EventAsked:
			require.Zero(t, i, what)
		case v1alpha1.EventAnswered:
			turns++
			require.Equal(t, turns, e.Turn, what)
		case v1alpha1.EventCall, v1alpha1.EventResult:
			counts[string(e.Type)+e.Call]++
			require.Equal(t, 1, counts[string(e.Type)+e.Call], what)
		case v1alpha1.EventEnded:
			require.Len(t, r.Status.Events, i+1, what)
		}
	}
	if r.Status.Phase.Final() {
		require.NotEmpty(t, r.Status.Events, r.Name)
		require.Equal(t, v1alpha1.EventEnded, r.Status.Events[len(r.Status.Events)-1].Type, r.Name)
	}
}

// requireApprovedOnce requires that each write had an approval to itself.
func requireApprovedOnce(t *testing.T, approvals []v1alpha1.Approval, written map[string]int, mark testbed.AuditMark) {
	t.Helper()
	events, err := cluster.Audit(mark)
	require.NoError(t, err)
	used := map[string]int{} // by approval
	for _, e := range events {
		if e.Resource == approvalsOf.Resource && e.Subresource == "status" && e.User == keeperUser && e.Code == 200 && !strings.Contains(e.RequestURI, "dryRun") {
			used[e.Name]++
		}
	}
	leave := map[string]int{} // by item
	by := map[string]string{}
	for _, a := range approvals {
		require.LessOrEqual(t, used[a.Name], 1, "%s was used twice", a.Name)
		if a.Status.ConsumedAt == nil {
			continue
		}
		require.Equal(t, person, a.Status.DecidedBy, a.Name)
		require.Empty(t, by[a.Status.ConsumedBy], "%s and %s were used by one call", a.Name, by[a.Status.ConsumedBy])
		by[a.Status.ConsumedBy] = a.Name
		var arguments struct {
			Name string `json:"resource_name"`
		}
		require.NoError(t, json.Unmarshal([]byte(a.Spec.Arguments), &arguments), a.Name)
		leave[arguments.Name]++
	}
	for item, n := range written {
		require.LessOrEqual(t, n, leave[item], "%s was written without leave", item)
	}
}
