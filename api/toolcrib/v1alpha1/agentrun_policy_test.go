package v1alpha1_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// inPod is the ServiceAccount of agents with the token of a pod of that name.
func inPod(t *testing.T, name string) person {
	t.Helper()
	makes(t, map[string]any{
		"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"serviceAccountName": "agents", "containers": []any{map[string]any{"name": "agent", "image": "toolcrib.test/agentcore:1"}}},
	})
	token := admin.does(t, "create", "token", "agents", "--bound-object-kind=Pod", "--bound-object-name="+name)
	return person{name: name, kubeconfig: robot.kubeconfig, flags: []string{"--token", strings.TrimSpace(token)}}
}

// TestAnAgentWritesItsOwnRunsAlone holds agents that share a ServiceAccount.
func TestAnAgentWritesItsOwnRunsAlone(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("long-name-", 6) // 60 letters
	web, webDB, lengthy := inPod(t, "web-5d8f7c9b4-x2x7k"), inPod(t, "web-db-5d8f7c9b4-x2x7k"), inPod(t, long[:58]+"x2x7k")
	of := func(agent string) v1alpha1.AgentRun {
		r := run("of-" + agent[:min(len(agent), 10)])
		r.Name, r.Spec.Agent = strings.TrimSuffix(r.Name, "-"), agent
		return r
	}
	asks := func(p person, agent string) error {
		_, err := p.try(t.Context(), of(agent), "create", "--dry-run=server", "-f", "-")
		return err
	}
	const refused = "pod web-5d8f7c9b4-x2x7k is not one of agent web-db: agents make and write runs of their own alone, and ask each other over A2A"
	require.Eventually(t, func() bool { // the API server takes a moment to see a policy
		err := asks(web, "web-db")
		return err != nil && strings.Contains(err.Error(), refused)
	}, enough, 100*time.Millisecond)
	for _, own := range []struct {
		person
		agent string
	}{{web, "web"}, {webDB, "web-db"}, {lengthy, long[:59]}} {
		require.NoError(t, asks(own.person, own.agent))
	}
	for _, others := range []struct {
		person
		agent string
	}{{webDB, "web"}, {web, "we"}, {web, "w.b"}, {web, "web-5d8f7c9b4"}, {web, long[:59]}, {lengthy, "long"}, {lengthy, "web"}} {
		require.ErrorContains(t, asks(others.person, others.agent), "is not one of agent "+others.agent)
	}

	makes(t, of("web-db"))
	patch := func(p person, args ...string) error {
		_, err := p.try(t.Context(), nil, append([]string{"patch", "agentrun", "of-web-db", "--type=merge"}, args...)...)
		return err
	}
	require.ErrorContains(t, patch(web, "-p", "spec: {cancel: true}"), refused)
	require.ErrorContains(t, patch(web, "--subresource=status", "-p", "status: {phase: Completed, answer: forged}"), refused)
	require.NoError(t, patch(webDB, "--subresource=status", "-p", "status: {phase: Running}"))
	require.NoError(t, patch(webDB, "-p", "spec: {cancel: true}"))
	r := ran(t, "of-web-db")
	require.Equal(t, v1alpha1.AgentRunStatus{Phase: v1alpha1.RunRunning}, r.Status)
}
