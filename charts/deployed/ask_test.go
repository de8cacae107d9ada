package deployed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/model"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// question is what ada asks with kubectl.
const question = `
apiVersion: toolcrib.dev/v1alpha1
kind: AgentRun
metadata: {name: %s, namespace: kagent}
spec: {agent: k8s-troubleshooter, prompt: %q}
`

// asked is what has become of an AgentRun.
type asked struct {
	Spec   struct{ RequestedBy string }
	Status struct {
		Phase, Answer, Message, Revision string
		Turns, ToolCalls                 int
		Events                           []struct {
			Type, Tool, Text string
			Error            bool
		}
	}
}

func ask(t *testing.T, name, prompt string) (a asked) {
	t.Helper()
	ada, err := cluster.UserKubeconfig(limit(t), "ada")
	require.NoError(t, err)
	asPerson(t, ada, fmt.Sprintf(question, name, prompt), "kubectl create -f -")
	return ended(t, name)
}

// ended returns the run once it is over.
func ended(t *testing.T, name string) (a asked) {
	t.Helper()
	require.NoError(t, proc.Until(limit(t), "the end of run "+name, 200*time.Millisecond, func(ctx context.Context) (bool, error) {
		out, err := cluster.Kubectl(ctx, "get", "agentrun", name, "-n", "kagent", "-o", "json")
		if err != nil {
			return false, err
		}
		a = asked{}
		if err := json.Unmarshal(out, &a); err != nil {
			return false, err
		}
		return a.Status.Phase != "" && a.Status.Phase != "Pending" && a.Status.Phase != "Running", nil
	}))
	require.Equal(t, "Completed", a.Status.Phase, a.Status.Message)
	return a
}

// anAgentRunNamesTheCause asks until the agent has noticed its new tool too.
func anAgentRunNamesTheCause(t *testing.T) {
	number := 0
	require.NoError(t, proc.Until(limit(t), "every tool to answer", 2*time.Second, func(context.Context) (bool, error) {
		number++
		a := ask(t, fmt.Sprint("why-", number), "Why does a pod of the shop crash?")
		namesTheCause(t, a.Status.Answer)
		require.Positive(t, a.Status.Turns)
		var answered, refused []string
		for _, e := range a.Status.Events {
			switch {
			case e.Type == "result" && e.Error:
				require.Contains(t, e.Text, `There is no tool "k8s_get_events", so nothing was called`)
				refused = append(refused, e.Tool)
			case e.Type == "result":
				answered = append(answered, e.Tool)
			}
		}
		require.ElementsMatch(t, []string{"k8s_get_resources", "k8s_get_pod_logs", "k8s_get_events", "prometheus_query"}, append(answered, refused...))
		return len(refused) == 0, nil
	}))
}

// task is what counts of one, in the wire that clients of A2A 0.3 speak.
type task struct {
	ID     string `json:"id"`
	Status struct {
		State   string
		Message *message
	}
	Artifacts []message
}

type message struct {
	Parts []struct{ Text string }
}

// rpc calls the agent through its Service and returns the status of HTTP too.
func rpc(t *testing.T, s service, token, method string, params any) (int, task) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	require.NoError(t, err)
	req, err := http.NewRequestWithContext(limit(t), http.MethodPost, "http://"+s.host+"/", bytes.NewReader(body))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	transport := s.transport(token)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	var answer struct {
		Result task
		Error  *struct{ Message string }
	}
	if resp.StatusCode == http.StatusOK {
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&answer))
		require.Nil(t, answer.Error, "%s: %+v", method, answer.Error)
	}
	return resp.StatusCode, answer.Result
}

// overA2A asks as another program of the cluster does, with a token of its own
// that is for this agent.
func overA2A(t *testing.T) {
	s := find(t, "kagent", agent)
	audience := "--audience=" + agent + ".kagent.svc"
	pager := requested(t, "kagent", "pager", audience)
	question := map[string]any{"message": map[string]any{
		"kind": "message", "messageId": "1", "role": "user", "parts": []any{map[string]any{"kind": "text", "text": "Why does a pod of the shop crash?"}},
	}}
	for name, token := range map[string]string{"of another audience": requested(t, "kagent", "pager"), "none": ""} {
		status, _ := rpc(t, s, token, "message/send", question)
		require.Equal(t, http.StatusUnauthorized, status, name)
	}
	status, _ := rpc(t, s, requested(t, "kagent", "stranger", audience), "message/send", question)
	require.Equal(t, http.StatusForbidden, status)

	_, got := rpc(t, s, pager, "message/send", question)
	require.NoError(t, proc.Until(limit(t), "the end of task "+got.ID, 200*time.Millisecond, func(context.Context) (bool, error) {
		_, got = rpc(t, s, pager, "tasks/get", map[string]any{"id": got.ID})
		return got.Status.State != "submitted" && got.Status.State != "working", nil
	}))
	require.Equal(t, "completed", got.Status.State)
	said, err := json.Marshal(got)
	require.NoError(t, err)
	namesTheCause(t, string(said))

	a := ended(t, got.ID) // it is an AgentRun like any other
	require.Equal(t, "system:serviceaccount:kagent:pager", a.Spec.RequestedBy)
}

// theKeyStaysSecret looks for the key of the model wherever somebody could read it.
func theKeyStaysSecret(t *testing.T, thinks scripted) {
	require.NotEmpty(t, thinks.Requests())
	for _, r := range thinks.Requests() {
		require.Equal(t, http.StatusOK, r.Status, r.Outcome) // any other key is refused
		require.Equal(t, "given", r.Header.Get("X-Api-Key"))
	}
	for _, read := range []string{
		kubectl(t, "logs", "-n", "kagent", "deployment/"+agent), kubectl(t, "logs", "-n", "toolcrib", "deployment/toolcrib-controller"),
		kubectl(t, "get", "-A", "-o", "yaml", "configmaps,pods,deployments,agentruns,agents,modelconfigs,events"),
	} {
		require.NotContains(t, read, "the-key-of-the-model")
	}
}

// undoBringsThePromptBack has the model say what it was told to be.
func undoBringsThePromptBack(t *testing.T, thinks scripted) {
	scenario, err := model.Parse("asks", []byte(asks))
	require.NoError(t, err)
	thinks.SetScenario(scenario)
	revision := func() string {
		return kubectl(t, "get", "-n", "kagent", "deployment/"+agent, "-o", `jsonpath={.spec.template.metadata.annotations.toolcrib\.dev/revision}`)
	}
	rolled := func() { // pods that are told to end may still take up a run
		kubectl(t, "rollout", "status", "-n", "kagent", "deployment/"+agent, "--timeout=15m")
		onePod(t)
	}
	first := revision()
	require.Contains(t, ask(t, "who-1", "Who are you?").Status.Answer, "あなたはKubernetesの障害調査専門エージェントです。")

	kubectl(t, "patch", "agent", agent, "-n", "kagent", "--type=merge", "-p", `{"spec":{"declarative":{"systemMessage":"You know nothing about Kubernetes."}}}`)
	require.NoError(t, proc.Until(limit(t), "another revision", 100*time.Millisecond, func(context.Context) (bool, error) { return revision() != first, nil }))
	rolled()
	second := ask(t, "who-2", "Who are you?").Status
	require.Contains(t, second.Answer, "You know nothing about Kubernetes.")
	require.NotEqual(t, first, second.Revision)

	kubectl(t, "rollout", "undo", "-n", "kagent", "deployment/"+agent)
	rolled()
	kubectl(t, "wait", "-n", "kagent", "agent/"+agent, "--for=condition=RolledBack", "--timeout=15m")
	third := ask(t, "who-3", "Who are you?").Status
	require.Contains(t, third.Answer, "あなたはKubernetesの障害調査専門エージェントです。")
	require.Equal(t, first, third.Revision)
}

func deletingLeavesNothing(t *testing.T) {
	kubectl(t, "delete", "agent", agent, "-n", "kagent")
	kinds := "configmaps,deployments,replicasets,pods,services,serviceaccounts,rolebindings,networkpolicies,clusterrolebindings"
	require.NoError(t, proc.Until(limit(t), "all of the agent to be gone", 200*time.Millisecond, func(ctx context.Context) (bool, error) {
		left, err := cluster.Kubectl(ctx, "get", kinds, "-A", "-l", "toolcrib.dev/agent="+agent, "-o", "name")
		return strings.TrimSpace(string(left)) == "", err
	}))
	require.Equal(t, "Completed", kubectl(t, "get", "agentrun", "why-1", "-n", "kagent", "-o", "jsonpath={.status.phase}")) // records stay
}
