package a2a_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/a2a"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
)

const askers = `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: askers, namespace: guarded}
rules:
- {apiGroups: [kagent.dev], resources: [agents], resourceNames: [sre], verbs: [ask]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: askers, namespace: guarded}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: askers}
subjects:
- {kind: ServiceAccount, name: ada, namespace: guarded}
- {kind: ServiceAccount, name: bob, namespace: guarded}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: sre, namespace: guarded}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-agent}
subjects: [{kind: ServiceAccount, name: sre, namespace: guarded}]
`

// TestWhoMayAsk serves an agent in a cluster, with what the controller grants
// it, and asks it as those who may and as those who may not.
func TestWhoMayAsk(t *testing.T) {
	t.Parallel()
	c := bed()
	kubeconfig, err := c.ServiceAccount(t.Context(), "guarded", "sre", "toolcrib-agent-reviews")
	require.NoError(t, err)
	require.NoError(t, c.Apply(t.Context(), []byte(askers)))
	token := func(name, audience string) string {
		_, err := c.ServiceAccount(t.Context(), "guarded", name)
		require.NoError(t, err)
		out, err := c.Kubectl(t.Context(), "create", "token", name, "--namespace=guarded", "--audience="+audience)
		require.NoError(t, err)
		return strings.TrimSpace(string(out))
	}
	const audience = "sre.guarded.svc"
	ada, bob, eve := token("ada", audience), token("bob", audience), token("eve", audience)

	keeper, err := locks.Open(mcpkit.LocksConfig{Kubeconfig: kubeconfig, Namespace: "guarded", Audience: audience})
	require.NoError(t, err)
	agent := sre("guarded")
	store, err := runs.OpenCluster(agent, kubeconfig, "test", "")
	require.NoError(t, err)
	url := serve(t, agent, thinker(looks), shelf{}, func(o *a2a.Options) {
		o.Store, o.Authenticator, o.Authorizer = store, keeper, keeper
	})
	ask := func(token, id string) (int, string) {
		return post(t, url, token, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"message/send","params":{"message":{"kind":"message","messageId":%q,"role":"user","parts":[{"kind":"text","text":"Is all well?"}]}}}`, id))
	}
	for _, refused := range []struct {
		token string
		code  int
		says  string
	}{
		{"", http.StatusUnauthorized, "needs a bearer token"},
		{"nonsense", http.StatusUnauthorized, ""},
		{token("ada", "another.guarded.svc"), http.StatusUnauthorized, ""},
		{eve, http.StatusForbidden, "system:serviceaccount:guarded:eve may not ask this agent; somebody who may grant it has to (ask agents.kagent.dev/sre, in namespace guarded)"},
	} {
		code, body := ask(refused.token, "m1")
		require.Equal(t, refused.code, code, body)
		require.Contains(t, body, refused.says)
	}
	code, body := ask(ada, "m1")
	require.Equal(t, http.StatusOK, code, body)
	var sent struct {
		Result struct {
			ID     string
			Status struct{ State string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(body), &sent))
	require.Equal(t, "completed", sent.Result.Status.State)
	out, err := c.Kubectl(t.Context(), "get", "agentrun", sent.Result.ID, "--namespace=guarded", "-o", "jsonpath={.spec.requestedBy} {.spec.trigger.kind} {.status.phase} {.status.answer}")
	require.NoError(t, err)
	require.Equal(t, "system:serviceaccount:guarded:ada A2A Completed All is well.", string(out))

	get := func(token string) string {
		_, body := post(t, url, token, `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"`+sent.Result.ID+`"}}`)
		return body
	}
	require.Contains(t, get(ada), "All is well.")
	require.Contains(t, get(bob), "there is no such task of yours", "what others asked is theirs")
	code, body = ask(bob, "m1")
	require.Equal(t, http.StatusOK, code, body)
	require.NotContains(t, body, sent.Result.ID, "nobody meets another's message by its id")

	resp, err := http.Get(url + "/.well-known/agent-card.json")
	require.NoError(t, err)
	defer resp.Body.Close()
	var card struct{ SecuritySchemes map[string]any }
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&card))
	require.Contains(t, card.SecuritySchemes, "bearer", "everybody may read how to prove who they are")

	self, err := store.Self(context.WithoutCancel(t.Context()))
	require.NoError(t, err)
	require.Equal(t, "system:serviceaccount:guarded:sre", self)
}

// everybody has every right.
type everybody struct{}

func (everybody) Authorize(context.Context, mcpkit.Caller, mcpkit.Right) (bool, error) {
	return true, nil
}

// TestNobodyMayAsk holds that rights are somebody's: where they are asked for, a
// caller of whom nothing is known has none.
func TestNobodyMayAsk(t *testing.T) {
	t.Parallel()
	url := serve(t, sre("home"), thinker(looks), shelf{}, func(o *a2a.Options) { o.Authorizer = everybody{} })
	code, body := post(t, url, "", `{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"id":"x"}}`)
	require.Equal(t, http.StatusUnauthorized, code, body)
}
