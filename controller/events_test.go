package controller_test

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// told are the events of the object of that kind, with how often each was told.
func told(t *testing.T, kind string, o client.Object) map[string]int {
	t.Helper()
	var list eventsv1.EventList
	require.NoError(t, admin.List(limit(t), &list, client.InNamespace(o.GetNamespace())))
	out := map[string]int{}
	for _, e := range list.Items {
		if e.Regarding.Kind == kind && e.Regarding.Name == o.GetName() {
			n := 1
			if e.Series != nil {
				n = int(e.Series.Count)
			}
			out[e.Type+" "+e.Reason] += n
		}
	}
	return out
}

// tells waits until the events of the object are these; they come in no order.
// That a part serves may be told besides, where a cache was behind.
func tells(t *testing.T, kind string, o client.Object, want map[string]int) {
	t.Helper()
	until(t, func() error {
		all := told(t, kind, o)
		delete(all, "Normal Serving")
		delete(all, "Normal EarlierRevisionServes")
		if !maps.Equal(want, all) {
			return fmt.Errorf("what is told is to be %v: %v", want, all)
		}
		return nil
	})
}

func TestAnAgentsLifeInEvents(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, plain)
	agent := agentOf(here, "plain")
	serving(t, agent)
	tells(t, "Agent", agent, map[string]int{"Normal Accepted": 1, "Normal RollingOut": 1, "Normal Complete": 1})
	says(t, agent, "Two.")
	serving(t, agent)
	tells(t, "Agent", agent, map[string]int{"Normal Accepted": 1, "Normal RollingOut": 2, "Normal Complete": 2})

	// At rest nothing is told.
	rounds(t, "agent", 3, func() { touch(t, here) })

	// What cannot be is told once, though three conditions say it.
	merge(t, agent, `{"spec":{"declarative":{"modelConfig":"nothing"}}}`)
	becomes(t, agent, "RolledOut", metav1.ConditionFalse, "ModelConfigNotFound")
	tells(t, "Agent", agent, map[string]int{"Normal Accepted": 1, "Normal RollingOut": 2, "Normal Complete": 2, "Warning ModelConfigNotFound": 1})
	merge(t, agent, `{"spec":{"declarative":{"modelConfig":null}}}`)
	serving(t, agent)
	tells(t, "Agent", agent, map[string]int{"Normal Accepted": 2, "Normal RollingOut": 2, "Normal Complete": 3, "Warning ModelConfigNotFound": 1})

	// A revision that never gets ready is a warning, and that somebody went back none.
	merge(t, agent, `{"spec":{"declarative":{"systemMessage":"Three.","deployment":{"nodeSelector":{"nowhere":"to-be"}}}}}`)
	becomes(t, agent, "RolledOut", metav1.ConditionFalse, "PodsNotReady")
	tells(t, "Agent", agent, map[string]int{"Normal Accepted": 2, "Normal RollingOut": 3, "Normal Complete": 3, "Warning ModelConfigNotFound": 1, "Warning PodsNotReady": 1})
	_, err := cluster.Kubectl(limit(t), "-n", here, "rollout", "undo", "deployment/plain")
	require.NoError(t, err)
	becomes(t, agent, "RolledBack", metav1.ConditionTrue, "Undone")
	until(t, func() error {
		if all := told(t, "Agent", agent); all["Normal Undone"] != 1 || all["Warning PodsNotReady"] != 1 {
			return fmt.Errorf("%v", all)
		}
		return nil
	})
}

func TestAServerThatGoesAndComesIsToldOnce(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	url := serves(t, mcpServer("look"))
	apply(t, here, remote("tools", url, ""))
	server := serverOf(here, "tools")
	becomes(t, server, "Accepted", metav1.ConditionTrue, "Discovered")
	for range 2 {
		merge(t, server, `{"spec":{"url":"http://127.0.0.1:1/mcp"}}`)
		becomes(t, server, "Accepted", metav1.ConditionFalse, "Unreachable")
	}
	merge(t, server, fmt.Sprintf(`{"spec":{"url":%q}}`, url))
	becomes(t, server, "Accepted", metav1.ConditionTrue, "Discovered")
	tells(t, "RemoteMCPServer", server, map[string]int{"Normal Discovered": 2, "Warning Unreachable": 1})
}
