package controller_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestToolsAreDiscoveredWithTheirClass(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	s := mcpServer("destroy_all", "look", "write_it")
	mcp.AddTool(s, &mcp.Tool{Name: "silent", Description: strings.Repeat("long ", 200)}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
		return nil, nil, nil
	})
	sse := httptest.NewServer(mcp.NewSSEHandler(func(*http.Request) *mcp.Server { return s }, nil))
	t.Cleanup(sse.Close)
	apply(t, here, remote("http", serves(t, s), "")+remote("sse", sse.URL, "  protocol: SSE\n"))
	for _, name := range []string{"http", "sse"} {
		server := serverOf(here, name)
		require.Equal(t, "4 tools: 1 read, 2 write, 1 destroy", becomes(t, server, "Accepted", metav1.ConditionTrue, "Discovered"))
		tools := server.Status.DiscoveredTools
		require.Equal(t, kagent.MCPTool{Name: "destroy_all", Description: "Does destroy_all[31m.", Class: kagent.ClassDestroy}, tools[0])
		require.Equal(t, kagent.ClassRead, tools[1].Class)
		require.Equal(t, "silent", tools[2].Name)
		require.Equal(t, kagent.ClassWrite, tools[2].Class, "a tool of which nothing is said writes")
		require.LessOrEqual(t, len(tools[2].Description), 400)
		require.Equal(t, kagent.ClassWrite, tools[3].Class)
	}
}

func TestAnAnnotationAloneGatesNoWrites(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	var gate atomic.Value
	gate.Store("approval")
	s := mcpServer("look", "write_it")
	s.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			result, err := next(ctx, method, req)
			if list, ok := result.(*mcp.ListToolsResult); ok {
				list.Meta = mcp.Meta{"toolcrib.dev/gate": gate.Load()}
			}
			return result, err
		}
	})
	apply(t, here, remote("tools", serves(t, s), "")+remote("plain", serves(t, s), ""))
	server := serverOf(here, "tools")
	merge(t, server, `{"metadata":{"annotations":{"toolcrib.dev/access":"write"}}}`)
	require.Contains(t, becomes(t, server, "GatesWrites", metav1.ConditionTrue, "Stated"), "agents leave that to it")

	gate.Store("off")
	merge(t, server, `{"metadata":{"annotations":{"looked":"at"}}}`)
	require.Contains(t, becomes(t, server, "GatesWrites", metav1.ConditionFalse, "NotStated"), "the server does not say so; agents do not leave their writes to it")

	merge(t, server, `{"metadata":{"annotations":{"toolcrib.dev/access":null}}}`)
	until(t, func() error {
		if err := admin.Get(limit(t), client.ObjectKeyFromObject(server), server); err != nil {
			return err
		}
		if c := meta.FindStatusCondition(server.Status.Conditions, "GatesWrites"); c != nil {
			return fmt.Errorf("%+v", c)
		}
		return nil
	})
	plain := serverOf(here, "plain")
	becomes(t, plain, "Accepted", metav1.ConditionTrue, "Discovered")
	require.Nil(t, meta.FindStatusCondition(plain.Status.Conditions, "GatesWrites"))
}

func TestServersThatCannotBeUsedSayWhy(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	answers := func(status int, body string) string {
		h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "http://elsewhere.example/")
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		}))
		t.Cleanup(h.Close)
		return h.URL
	}
	over := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-over }))
	t.Cleanup(func() { close(over); silent.Close() })
	const closed = "http://127.0.0.1:1" // a port that nobody is given
	untrusted := httptest.NewTLSServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return mcpServer("look") }, nil))
	t.Cleanup(untrusted.Close)
	for name, c := range map[string]struct{ url, rest, reason, message string }{
		"closed":    {closed, "", "Unreachable", "connection refused"},
		"silent":    {silent.URL, "  timeout: 300ms\n", "Timeout", "did not answer within 300ms"},
		"refuses":   {answers(401, "token abc is wrong"), "", "Refused", "401 Unauthorized"},
		"missing":   {answers(404, ""), "", "Unreachable", "404 Not Found"},
		"elsewhere": {answers(302, ""), "", "Redirected", "sent the controller elsewhere (302)"},
		"page":      {answers(200, "<html>hello</html>"), "", "NotMCP", "does not speak MCP"},
		"untrusted": {untrusted.URL, "", "CertificateInvalid", "certificate is not trusted"},
		"secretive": {closed, "  headersFrom: [{name: Authorization, valueFrom: {type: Secret, name: key, key: k}}]\n", "SecretNotReadable", `no Role lets the controller read the Secret "key" of namespace`},
		"homeless":  {closed, "  headersFrom: [{name: X-A, valueFrom: {type: ConfigMap, name: nothing, key: k}}]\n", "ConfigMapNotFound", `no ConfigMap "nothing"`},
	} {
		apply(t, here, remote(name, c.url, c.rest))
		message := becomes(t, serverOf(here, name), "Accepted", metav1.ConditionFalse, c.reason, c.message)
		require.NotContains(t, message, "abc")
	}
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: untrusted.Certificate().Raw})
	letReadSecrets(t, here)
	apply(t, here, fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: ca}\nstringData: {ca.crt: %q}\n---\n", ca)+
		remote("trusted", untrusted.URL, "  tls: {caCertSecretRef: ca, caCertSecretKey: ca.crt}\n"))
	trusted := serverOf(here, "trusted")
	becomes(t, trusted, "Accepted", metav1.ConditionTrue, "Discovered")
	require.NotEmpty(t, trusted.Status.SecretHash)
}

// letReadSecrets is what an operator does who wants Secrets checked.
func letReadSecrets(t *testing.T, namespace string) {
	apply(t, namespace, `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: toolcrib-controller}
rules: [{apiGroups: [""], resources: [secrets], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: toolcrib-controller}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: toolcrib-controller}
subjects: [{kind: ServiceAccount, namespace: toolcrib, name: toolcrib-controller}]
`)
	until(t, func() error {
		_, err := cluster.Kubectl(limit(t), "auth", "can-i", "get", "secrets", "-n", namespace, "--as=system:serviceaccount:toolcrib:toolcrib-controller")
		return err
	})
}

func TestTheControllerShowsServersATokenForThemAlone(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	var mu sync.Mutex
	seen := map[string]map[string]bool{"/ours": {}, "/thief": {}} // tokens, by who is shown them
	tools := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return mcpServer("look") }, nil)
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen[r.URL.Path][strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")] = true
		mu.Unlock()
		tools.ServeHTTP(w, r)
	}))
	t.Cleanup(h.Close)
	annotated := func(name, audience string) string {
		return strings.Replace(remote(name, h.URL+"/"+name, ""), "{name: "+name+"}", fmt.Sprintf("{name: %s, annotations: {toolcrib.dev/audience: %q}}", name, audience), 1)
	}
	apply(t, here, annotated("ours", "tools.test.svc"))
	becomes(t, serverOf(here, "ours"), "Accepted", metav1.ConditionTrue, "Discovered")
	mu.Lock()
	require.NotEmpty(t, seen["/ours"])
	for token := range seen["/ours"] {
		review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{"tools.test.svc"}}}
		require.NoError(t, admin.Create(limit(t), review))
		require.True(t, review.Status.Authenticated)
		require.Equal(t, "system:serviceaccount:toolcrib:toolcrib-controller", review.Status.User.Username)
	}
	mu.Unlock()

	// A token for the API server's audience would be the controller's whole power.
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "toolcrib", Name: "toolcrib-controller"}}
	token := &authenticationv1.TokenRequest{}
	require.NoError(t, admin.SubResource("token").Create(limit(t), account, token))
	require.NotEmpty(t, token.Spec.Audiences)
	apply(t, here, annotated("thief", token.Spec.Audiences[0])+model+`
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: victim}
spec: {declarative: {systemMessage: Look., tools: [{mcpServer: {name: thief}}]}}
`)
	becomes(t, serverOf(here, "thief"), "Accepted", metav1.ConditionFalse, "AudienceRefused", "is the API server's own audience")
	becomes(t, agentOf(here, "victim"), "Accepted", metav1.ConditionFalse, "AudienceRefused")
	mu.Lock()
	require.Empty(t, seen["/thief"])
	mu.Unlock()
}

func TestGrantsThatAreMissingAreSaidWithTheLinesThatMakeThem(t *testing.T) {
	t.Parallel()
	here := namespace(t, nil)
	apply(t, here, strings.Replace(remote("tools", serves(t, mcpServer("look", "watch", "stare")), ""), "{name: tools}", "{name: tools, annotations: {toolcrib.dev/audience: tools.test.svc}}", 1)+model+`
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: asker}
spec: {declarative: {systemMessage: Look., tools: [{mcpServer: {name: tools, toolNames: [watch, look]}}]}}
`)
	agent := agentOf(here, "asker")
	message := becomes(t, agent, "ToolsGranted", metav1.ConditionFalse, "GrantsMissing", "it may not call look, watch;")
	table, err := cluster.Kubectl(limit(t), "-n", here, "get", "agents")
	require.NoError(t, err)
	require.Regexp(t, `GRANTED +REVISION.*\nasker.* False  `, string(table))
	runs(t, message)
	require.Equal(t, "it may call all 2 tools that it names", becomes(t, agent, "ToolsGranted", metav1.ConditionTrue, "Granted"))

	// The role is there already when the agent is to have one tool more.
	require.NoError(t, admin.Patch(limit(t), agent, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"declarative":{"tools":[{"mcpServer":{"name":"tools","toolNames":["watch","look","stare","gaze"]}}]}}}`))))
	message = becomes(t, agent, "ToolsGranted", metav1.ConditionFalse, "GrantsMissing", "it may not call stare;") // of a tool that is not there nobody grants anything
	runs(t, message)
	require.Equal(t, "it may call all 3 tools that it names", becomes(t, agent, "ToolsGranted", metav1.ConditionTrue, "Granted"))
}

// runs runs the lines that a message ends with, as a shell does: each is a
// command whose output another one reads.
func runs(t *testing.T, message string) {
	t.Helper()
	_, lines, found := strings.Cut(message, "with: ")
	require.True(t, found, message)
	for line := range strings.SplitSeq(lines, " && ") {
		writes, reads, found := strings.Cut(line, " -f -")
		require.True(t, found && reads == "", line)
		create, reconcile, found := strings.Cut(writes, " | ")
		require.True(t, found, line)
		out, err := cluster.Kubectl(limit(t), strings.Fields(create)[1:]...)
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "grant.yaml")
		require.NoError(t, os.WriteFile(file, out, 0o600))
		_, err = cluster.Kubectl(limit(t), append(strings.Fields(reconcile)[1:], "-f", file)...)
		require.NoError(t, err)
	}
}
