package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// podsOn puts pods on a simulated node, where they count as running and ready
// and go as soon as they are asked to. Each is "NAME" or "NAME LINE", the line
// being more of its spec, and belongs to a controller.
func podsOn(t testing.TB, ns, node string, pods ...string) {
	t.Helper()
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: owner}}`)
	owner := strings.Trim(at(t, "cm", ns, "owner", "metadata.uid"), `"`)
	for _, pod := range pods {
		name, extra, _ := strings.Cut(pod, " ")
		metadata := `name: ` + name + `, labels: {app: ` + name + `}`
		if !strings.HasPrefix(name, "lonely") {
			metadata += `, ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: owner, uid: ` + owner + `, controller: true}]`
		}
		if extra != "" {
			extra += ", "
		}
		apply(t, ns, `{apiVersion: v1, kind: Pod, metadata: {`+metadata+`}, spec: {nodeName: `+node+`, `+extra+`terminationGracePeriodSeconds: 0, containers: [{name: c, image: "toolcrib.test/busybox:1"}]}}`)
		poke(t, "pods", ns, name, `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`, "status")
	}
}

// guard lets none of the pods labelled app=NAME be evicted, and returns the way
// to end that.
func guard(t testing.TB, ns, app string) (end func()) {
	t.Helper()
	apply(t, ns, `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: keep-`+app+`}, spec: {minAvailable: 1, selector: {matchLabels: {app: `+app+`}}}}`)
	within(t, "the budget counts", func() bool { return at(t, "pdb", ns, "keep-"+app, "status.currentHealthy") == "1" })
	return func() {
		require.NoError(t, testClients(t).typed.PolicyV1().PodDisruptionBudgets(ns).Delete(t.Context(), "keep-"+app, metav1.DeleteOptions{}))
	}
}

// onIt is whether a node is cordoned, and the pods that a namespace has.
func onIt(t testing.TB, ns, node string) string {
	t.Helper()
	list, err := testClients(t).typed.CoreV1().Pods(ns).List(context.Background(), metav1.ListOptions{})
	require.NoError(t, err)
	names := []string{at(t, "node", "", node, "spec.unschedulable")}
	for _, p := range list.Items {
		names = append(names, p.Name)
	}
	slices.Sort(names[1:])
	return strings.Join(names, " ")
}

func TestDrainNodeIsGated(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "web")
	requireGated(t, gatedWrite{
		Tool: drainNode, Args: map[string]any{"name": node},
		Shown:   []string{fmt.Sprintf("nodes %q\n\n+ spec.unschedulable: true\nevict 1 pod\n- %s/web (ConfigMap owner)\n\nNote: until it is cordoned", node, ns)},
		State:   func() string { return onIt(t, ns, node) },
		Before:  "null web",
		After:   "true",
		Writes:  []string{"patch nodes " + node, "create pods/eviction web"},
		Disturb: func() { podsOn(t, ns, node, "late") },
		Restore: func() {
			require.NoError(t, testClients(t).typed.CoreV1().Pods(ns).Delete(t.Context(), "late", metav1.DeleteOptions{}))
		},
	})
}

func TestDrainNodeAnswers(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "web")
	s := writing(t, admin(t), &person{Says: "accept"})
	a := s.Call("k8s_drain_node", map[string]any{"name": node})
	require.Equal(t, `result: drained: 1 pod left node "`+node+`", which stays cordoned until k8s_uncordon_node`, a.Text)
	a = s.Call("k8s_drain_node", map[string]any{"name": node + "x"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, `not_found: no nodes "`+node+`x"`)
}

func TestDrainNodeSaysWhatBlocksAndWhatStays(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "web", "lonely", "scratch volumes: [{name: tmp, emptyDir: {}}]", "lonely-done")
	poke(t, "pods", ns, "lonely-done", `{"status":{"phase":"Succeeded"}}`, "status")
	agent := daemon(t, ns, node)
	p := &person{Says: "accept"}
	s := writing(t, granted(t, drainNode.Rules...), p)
	a := s.Call("k8s_drain_node", map[string]any{"name": node, "ignore_daemonsets": false})
	require.True(t, a.IsError)
	require.Equal(t, strings.NewReplacer("NS", ns, "NODE", node, "AGENT", agent).Replace(`invalid: cannot drain node "NODE" as asked, and nothing was changed. These pods block:
- NS/AGENT: DaemonSet agent would bring it right back; ignore_daemonsets=true leaves it
- NS/lonely: nothing would bring it back; force=true removes it for good
- NS/scratch: its emptyDir data would be lost; delete_emptydir_data=true accepts that
2 would go: NS/lonely-done, NS/web`), a.Text)
	require.Empty(t, p.Asked)
	require.Equal(t, "null "+agent+" lonely lonely-done scratch web", onIt(t, ns, node))

	a = s.Call("k8s_drain_node", map[string]any{"name": node, "force": true, "delete_emptydir_data": true})
	require.False(t, a.IsError, a.Text)
	require.Contains(t, p.Asked[0], strings.ReplaceAll(`evict 4 pods
- NS/lonely (nothing brings it back)
- NS/lonely-done (finished)
- NS/scratch (ConfigMap owner, its emptyDir data is lost)
- NS/web (ConfigMap owner)`, "NS", ns))
	require.Contains(t, p.Asked[0], "Now: these stay: "+ns+"/"+agent+" (DaemonSet)")
	require.Equal(t, "true "+agent, onIt(t, ns, node))
}

// daemon has a daemon set put its pod on a simulated node, and returns its name.
func daemon(t testing.TB, ns, node string) (pod string) {
	t.Helper()
	poke(t, "node", "", node, `{"metadata":{"labels":{"only":"`+node+`"}}}`)
	poke(t, "node", "", node, `{"status":{"allocatable":{"pods":"9"},"capacity":{"pods":"9"}}}`, "status")
	apply(t, ns, `{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent}, spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}},
	  spec: {nodeSelector: {only: `+node+`}, tolerations: [{operator: Exists}], terminationGracePeriodSeconds: 0, containers: [{name: c, image: "toolcrib.test/busybox:1"}]}}}}`)
	within(t, "the daemon set's pod is on the node", func() bool {
		list, err := testClients(t).typed.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=agent", FieldSelector: "spec.nodeName=" + node})
		if err == nil && len(list.Items) == 1 {
			pod = list.Items[0].Name
		}
		return pod != ""
	})
	return pod
}

func TestDrainNodeHonoursDisruptionBudgets(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "web", "guarded")
	end := guard(t, ns, "guarded")
	p := &person{Says: "accept"}
	s := writing(t, granted(t, drainNode.Rules...), p)
	args := map[string]any{"name": node, "timeout": "20s"} // time enough to evict one pod on any machine
	a := s.Call("k8s_drain_node", args)
	require.False(t, a.IsError, a.Text)
	const why = "PodDisruptionBudget keep-guarded needs 1 healthy pods and has 1 currently"
	require.Contains(t, p.Asked[0], "evict 2 pods")
	require.Contains(t, p.Asked[0], "Now: "+ns+"/guarded cannot go yet and is asked again until it can: "+why)
	require.Equal(t, `result: not drained yet: 1 of 2 pods left node "`+node+`", which stays cordoned; call again to go on, or let pods back with k8s_uncordon_node
still_there:
- `+ns+"/guarded: "+why, strings.Replace(a.Text, "still_there: "+ns, "still_there:\n- "+ns, 1))
	require.Equal(t, "true guarded", onIt(t, ns, node))

	end()
	a = s.Call("k8s_drain_node", args)
	require.Contains(t, a.Text, "result: drained: 1 pod left")
	require.Equal(t, "true", onIt(t, ns, node))
}

func TestDrainNodeOfAPodUnderTwoBudgetsIsRefused(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "web")
	guard(t, ns, "web")
	apply(t, ns, `{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: second}, spec: {minAvailable: 0, selector: {matchLabels: {app: web}}}}`)
	var a mcptest.Answer
	within(t, "both budgets are known", func() bool {
		a = writing(t, admin(t), &person{Says: "decline"}).Call("k8s_drain_node", map[string]any{"name": node})
		return strings.Contains(a.Text, "invalid: ")
	})
	require.Contains(t, a.Text, ns+"/web: This pod has more than one PodDisruptionBudget")
	require.Equal(t, "null web", onIt(t, ns, node))
}

func TestDrainNodeTellsHowFarItIs(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "web", "guarded")
	end := guard(t, ns, "guarded")
	ts := toolset(admin(t))
	here, there := mcp.NewInMemoryTransports()
	_, err := mcpkit.NewServer(ts, mcpkit.Options{Name: "kubernetes-mcp", Access: mcpkit.AccessWrite, Gate: mcpkit.GateOff}).MCP().Connect(t.Context(), there, nil)
	require.NoError(t, err)
	told := make(chan *mcp.ProgressNotificationParams, 100)
	client, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, &mcp.ClientOptions{
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) { told <- r.Params },
	}).Connect(t.Context(), here, nil)
	require.NoError(t, err)
	defer client.Close()
	first := make(chan *mcp.ProgressNotificationParams, 1)
	go func() {
		first <- <-told
		end()
	}()
	params := &mcp.CallToolParams{Name: "k8s_drain_node", Arguments: map[string]any{"name": node}}
	params.SetProgressToken("drain")
	res, err := client.CallTool(t.Context(), params)
	require.NoError(t, err)
	require.Contains(t, res.Content[0].(*mcp.TextContent).Text, "result: drained: 2 pods left")
	began := <-first
	require.EqualValues(t, 1, began.Progress)
	require.EqualValues(t, 2, began.Total)
	require.Contains(t, began.Message, `1 of 2 pods left node "`+node+`", which stays cordoned; still there: `+ns+"/guarded: PodDisruptionBudget keep-guarded needs")
}

func TestDrainNodeStopsWithItsCall(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "web", "guarded")
	end := guard(t, ns, "guarded")
	b := admin(t)
	in := DrainNodeIn{NodeIn: NodeIn{Name: node}}
	plan, err := b.planDrain(t.Context(), in)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() {
		_, err := b.drain(ctx, in, plan)
		ended <- err
	}()
	within(t, "the drain is under way", func() bool { return onIt(t, ns, node) == "true guarded" })
	cancel()
	err = <-ended
	require.ErrorContains(t, err, "unavailable: the call ended early: ")
	require.ErrorContains(t, err, `left node "`+node+`", which stays cordoned; still there: `)
	require.ErrorContains(t, err, ns+"/guarded: ")
	end() // nobody evicts it any more
	require.Equal(t, "true guarded", onIt(t, ns, node))
}

func TestDrainNodeLeavesAnotherPodOfTheSameName(t *testing.T) {
	t.Parallel()
	ns, node, elsewhere := namespace(t), simulatedNode(t), simulatedNode(t)
	podsOn(t, ns, node, "web")
	b := admin(t)
	in := DrainNodeIn{NodeIn: NodeIn{Name: node}}
	plan, err := b.planDrain(t.Context(), in)
	require.NoError(t, err)
	require.NoError(t, testClients(t).typed.CoreV1().Pods(ns).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	podsOn(t, ns, elsewhere, "web")
	out, err := b.drain(t.Context(), in, plan)
	require.NoError(t, err)
	require.Contains(t, out.Result, "drained: 1 pod left")
	require.Equal(t, "true web", onIt(t, ns, node))
}

func TestDrainNodeWaitsForPodsThatTerminate(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "slow")
	poke(t, "pods", ns, "slow", `{"metadata":{"finalizers":["toolcrib.test/hold"]}}`)
	release := func() { poke(t, "pods", ns, "slow", `{"metadata":{"finalizers":null}}`) }
	var out DrainNodeOut
	writing(t, admin(t), &person{Says: "accept"}).Call("k8s_drain_node", map[string]any{"name": node, "timeout": "20s"}).Into(t, &out)
	require.Equal(t, []string{ns + "/slow: evicted, still terminating"}, out.StillThere)
	release()
}

func TestDrainNodeDenied(t *testing.T) {
	t.Parallel()
	ns, node := namespace(t), simulatedNode(t)
	podsOn(t, ns, node, "web")
	agent := daemon(t, ns, node)
	for _, lacking := range []string{"nodes", "pods", "pods/eviction", "daemonsets"} {
		var rules []mcpkit.Rule
		for _, r := range drainNode.Rules {
			if !slices.Contains(r.Resources, lacking) {
				rules = append(rules, r)
			}
		}
		p := &person{Says: "accept"}
		a := writing(t, granted(t, rules...), p).Call("k8s_drain_node", map[string]any{"name": node})
		require.True(t, a.IsError, lacking)
		require.Contains(t, a.Text, ":server may not", lacking)
		require.Empty(t, p.Asked)
	}
	require.Equal(t, "null "+agent+" web", onIt(t, ns, node))
}
