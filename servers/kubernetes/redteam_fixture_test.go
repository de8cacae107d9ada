package kubernetes

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// crib is a server as a platform team runs it: the released binary over HTTP,
// under a ServiceAccount with the role of its tools, whose callers the cluster
// knows and whose writes a person approves. Every attack has one of its own.
type crib struct {
	process
	t         testing.TB
	namespace string // of the server, its callers and what they are after
	audience  string
	record    string // path
	agent     string // token of ServiceAccount agent, which may call tools
	other     string // token of ServiceAccount other, which may as well
	tokens    []string
	before    string            // version of the ConfigMap that the attacks are after
	since     testbed.AuditMark // when they began
}

// accounts are what a crib needs in its namespace, besides the server's role. The
// ConfigMap is what an attack is after.
const accounts = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: server}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: agent}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: other}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: server}
rules:
- {apiGroups: [toolcrib.dev], resources: [approvals], verbs: [get, list, create, consume]}
- {apiGroups: [toolcrib.dev], resources: [approvals/status], verbs: [update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: server}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: server}
subjects: [{kind: ServiceAccount, name: server}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: approver}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-approver}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ada@example.com}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: caller}
rules:
- {apiGroups: [toolcrib.dev], resources: [tools], verbs: [call], resourceNames: [%s]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: caller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: caller}
subjects: [{kind: ServiceAccount, name: agent}, {kind: ServiceAccount, name: other}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: shelf}
data: {saw: sharp}
`

var install sync.Once

// installLocks puts what charts/locks holds into the cluster, once for all cribs,
// and waits until the API server goes by it.
func installLocks(t testing.TB) {
	t.Helper()
	install.Do(func() {
		files, err := filepath.Glob("../../charts/locks/manifests/*.yaml")
		require.NoError(t, err)
		require.NotEmpty(t, files)
		for _, file := range files {
			manifest, err := os.ReadFile(file)
			require.NoError(t, err)
			require.NoError(t, cluster().Apply(t.Context(), manifest))
		}
		late := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": v1alpha1.GroupVersion.String(), "kind": "Approval", "metadata": map[string]any{"name": "late"},
			"spec": map[string]any{
				"server": "x", "tool": "x", "caller": "x", "agent": "x", "target": "x", "arguments": "{}", "plan": "x",
				"argumentsHash": strings.Repeat("x", 43), "planHash": strings.Repeat("x", 43), "expiresAt": "2000-01-01T00:00:00Z",
			},
		}}
		within(t, "the policy is held", func() bool {
			_, err := testClients(t).dynamic.Resource(approvalResource).Namespace("default").Create(t.Context(), late, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			return err != nil && strings.Contains(err.Error(), "must lie ahead")
		})
	})
}

// theShelf is a write of the ConfigMap, and what a call of it would change.
var theShelf = map[string]any{"resource_type": "configmap", "resource_name": "shelf", "patch": `{"data":{"saw":"gone"}}`}

// newCrib starts a crib whose callers may call the tools named, or all. Flags
// come last.
func newCrib(t testing.TB, access mcpkit.Access, tools []string, flags ...string) *crib {
	t.Helper()
	installLocks(t)
	ts := toolset(New(Config{}))
	c := &crib{t: t, namespace: namespace(t)}
	c.audience, c.record = "server."+c.namespace+".svc", filepath.Join(t.TempDir(), "record")
	apply(t, c.namespace, fmt.Sprintf(accounts, strings.Join(tools, ", ")))
	lockstest.Role(t, cluster(), c.namespace, ts.Rules(access)...)
	lockstest.Bind(t, cluster(), c.namespace, c.namespace, "")
	lockstest.Bind(t, cluster(), c.namespace, "system:auth-delegator", "")
	c.agent, c.other = c.token("agent", c.audience), c.token("other", c.audience)
	account := tokenKubeconfig(t, c.token("server", ""))
	c.process = start(t, append([]string{
		"--access=" + string(access), "--auth=kubernetes", "--gate=approval", "--audience=" + c.audience,
		"--locks-namespace=" + c.namespace, "--locks-kubeconfig=" + account, "--kubeconfig=" + account, "--record=" + c.record,
	}, flags...)...)
	t.Cleanup(c.requireNoTokens)
	c.before = c.version()
	var err error
	c.since, err = cluster().AuditMark()
	require.NoError(t, err)
	return c
}

// writeCrib is a crib of the write tools an attack would like best.
func writeCrib(t testing.TB, flags ...string) *crib {
	t.Helper()
	return newCrib(t, mcpkit.AccessWrite, []string{"k8s_patch_resource", "k8s_label_resource", "k8s_scale", "k8s_apply_manifest", "k8s_execute_command"}, flags...)
}

// readCrib is a crib of the read tools.
func readCrib(t testing.TB, flags ...string) *crib {
	t.Helper()
	var tools []string
	for name := range shopReads {
		tools = append(tools, name)
	}
	return newCrib(t, mcpkit.AccessRead, tools, flags...)
}

// token is a new token of a ServiceAccount, for the API server if audience is
// empty.
func (c *crib) token(account, audience string) string {
	c.t.Helper()
	token := lockstest.Token(c.t, cluster(), c.namespace, account, audience)
	c.tokens = append(c.tokens, token)
	return token
}

// reply is what came back for one request.
type reply struct {
	Status  int
	Header  http.Header
	Body    string // as it came
	Text    string // of the tool's answer
	IsError bool   // of the tool's answer, or of the protocol
}

// send posts a body as token's bearer; a header overrides what a client sends.
func (c *crib) send(token, body string, headers http.Header) reply {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), http.MethodPost, c.URL, strings.NewReader(body))
	require.NoError(c.t, err)
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for name, values := range headers {
		r.Header[name] = values
	}
	if host := headers.Get("Host"); host != "" {
		r.Host = host
	}
	return c.do(r)
}

func (c *crib) do(r *http.Request) reply {
	c.t.Helper()
	res, err := http.DefaultClient.Do(r)
	require.NoError(c.t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(c.t, err)
	out := reply{Status: res.StatusCode, Header: res.Header, Body: string(body)}
	out.read()
	return out
}

// read takes the answer out of a message, which may be one of a stream.
func (r *reply) read() {
	var message struct {
		Error  *struct{ Message string }
		Result struct {
			IsError bool
			Content []struct{ Text string }
		}
	}
	for line := range strings.Lines(r.Body) {
		if json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &message) != nil {
			continue
		}
		if message.Error != nil {
			r.Text, r.IsError = message.Error.Message, true
		}
		for _, content := range message.Result.Content {
			r.Text, r.IsError = content.Text, message.Result.IsError
		}
	}
}

// called is a tools/call as it goes over the wire; args is any JSON.
func called(tool, args string) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%q,"arguments":%s}}`, tool, args)
}

// call calls a tool as token's bearer.
func (c *crib) call(token, tool string, args map[string]any) reply {
	c.t.Helper()
	sent := map[string]any{"namespace": c.namespace}
	for name, value := range args {
		sent[name] = value
	}
	raw, err := json.Marshal(sent)
	require.NoError(c.t, err)
	return c.send(token, called(tool, string(raw)), nil)
}

// as is a client of the cluster for somebody else than its administrator.
func (c *crib) as(user string) dynamic.Interface {
	c.t.Helper()
	config := rest.CopyConfig(testClients(c.t).Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: []string{"system:authenticated"}}
	client, err := dynamic.NewForConfig(config)
	require.NoError(c.t, err)
	return client
}

// account is the name of a ServiceAccount of the crib as a user.
func (c *crib) account(name string) string {
	return "system:serviceaccount:" + c.namespace + ":" + name
}

var approvalResource = v1alpha1.GroupVersion.WithResource("approvals")

// approvals are all there are.
func (c *crib) approvals() []v1alpha1.Approval {
	c.t.Helper()
	list, err := testClients(c.t).dynamic.Resource(approvalResource).Namespace(c.namespace).List(c.t.Context(), metav1.ListOptions{})
	require.NoError(c.t, err)
	out := make([]v1alpha1.Approval, len(list.Items))
	for i, item := range list.Items {
		require.NoError(c.t, runtime.DefaultUnstructuredConverter.FromUnstructured(item.Object, &out[i]))
	}
	return out
}

// decide has user decide about an approval, in user's own name.
func (c *crib) decide(user, approval string, decision v1alpha1.Decision) error {
	c.t.Helper()
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"decision": decision, "decidedBy": user}})
	require.NoError(c.t, err)
	_, err = c.as(user).Resource(approvalResource).Namespace(c.namespace).Patch(c.t.Context(), approval, types.MergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}

// ada is the person who may decide.
const ada = "ada@example.com"

// asked calls a write tool that nobody has approved and returns the approval it
// asks for.
func (c *crib) asked(tool string, args map[string]any) v1alpha1.Approval {
	c.t.Helper()
	known := len(c.approvals())
	r := c.call(c.agent, tool, args)
	require.True(c.t, r.IsError, r.Body)
	a, found := c.askedFor(r)
	require.True(c.t, found, r.Text)
	require.Len(c.t, c.approvals(), known+1)
	return a
}

// askedFor is the approval that an answer asks for, if it does.
func (c *crib) askedFor(r reply) (v1alpha1.Approval, bool) {
	c.t.Helper()
	for _, a := range c.approvals() {
		if strings.Contains(r.Text, " approval "+c.namespace+"/"+a.Name+" waits for somebody who may decide to run:\n") {
			return a, true
		}
	}
	return v1alpha1.Approval{}, false
}

// version is that of the ConfigMap, which every write moves.
func (c *crib) version() string {
	c.t.Helper()
	shelf, err := testClients(c.t).typed.CoreV1().ConfigMaps(c.namespace).Get(c.t.Context(), "shelf", metav1.GetOptions{})
	require.NoError(c.t, err)
	return shelf.ResourceVersion
}

// requests are what the server has asked of the API server since it began, but
// for the try at its start that tells whether approvals can be relied on.
func (c *crib) requests() []testbed.AuditEvent {
	c.t.Helper()
	all, err := cluster().Audit(c.since)
	require.NoError(c.t, err)
	return slices.DeleteFunc(all, func(e testbed.AuditEvent) bool {
		atStart := e.Resource == "approvals" && strings.Contains(e.RequestURI, "dryRun=All")
		return atStart || e.User != c.account("server")
	})
}

// requireUntouched holds the attack to have changed nothing: neither the object
// that it was after nor, by the API server's own log, any other.
func (c *crib) requireUntouched() {
	c.t.Helper()
	require.Equal(c.t, c.before, c.version(), "the ConfigMap was written")
	for _, e := range c.requests() {
		asks := e.Resource == "tokenreviews" || e.Resource == "subjectaccessreviews" || e.Resource == "approvals" && e.Verb == "create"
		require.False(c.t, writes(e) && !asks, "%s %s", e.Verb, e.RequestURI)
		require.Empty(c.t, e.Impersonated, "%s %s", e.Verb, e.RequestURI)
		require.NotEqual(c.t, "secrets", e.Resource, "%s %s", e.Verb, e.RequestURI)
	}
}

// requireNoTokens holds what the server has written down to name nobody's token.
func (c *crib) requireNoTokens() {
	for _, path := range []string{c.Log, c.record} {
		written, err := os.ReadFile(path)
		require.NoError(c.t, err)
		for _, token := range c.tokens {
			require.False(c.t, bytes.Contains(written, []byte(token)), "%s holds a token", path)
		}
	}
}

// recorded are the lines of the record.
func (c *crib) recorded() []map[string]any {
	c.t.Helper()
	raw, err := os.ReadFile(c.record)
	require.NoError(c.t, err)
	var out []map[string]any
	for line := range strings.Lines(string(raw)) {
		var entry map[string]any
		require.NoError(c.t, json.Unmarshal([]byte(line), &entry))
		out = append(out, entry)
	}
	return out
}
