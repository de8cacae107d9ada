package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
)

// gatehouse is the write server as a cluster runs it: several processes under one
// ServiceAccount and with one key, which know their callers and keep approvals.
type gatehouse struct {
	t         *testing.T
	ns        string
	processes []process
	records   []string
	agent     string // kubeconfig of the ServiceAccount that calls
	token     string // of the same, for the server
	since     testbed.AuditMark
}

// guardRules are what a server that knows its callers and keeps approvals needs
// besides its tools' rules.
var guardRules = []mcpkit.Rule{
	{Groups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
	{Groups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
	{Groups: []string{"toolcrib.dev"}, Resources: []string{"approvals"}, Verbs: []string{"list", "create", "consume"}},
	{Groups: []string{"toolcrib.dev"}, Resources: []string{"approvals/status"}, Verbs: []string{"update"}},
}

// inLocks puts charts/locks into the cluster, once, and returns when the API
// server holds requests to its policy, which takes it a moment.
var inLocks = sync.OnceValue(func() error {
	_ = cluster() // which may have to be built first
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if _, err := cluster().Kubectl(ctx, "apply", "-f", "../../charts/locks/manifests"); err != nil {
		return err
	}
	probe := filepath.Join(cluster().Dir, "probe.json")
	if err := os.WriteFile(probe, []byte(`{"apiVersion":"toolcrib.dev/v1alpha1","kind":"Approval","metadata":{"name":"probe"},"spec":{"server":"s","tool":"t","caller":"c","agent":"a","target":"t","arguments":"{}","argumentsHash":"h","plan":"p","planHash":"h","expiresAt":"2001-01-01T00:00:00Z"}}`), 0o600); err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := cluster().Kubectl(ctx, "create", "--dry-run=server", "-f", probe)
		if err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the policy: %w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
})

func newGatehouse(t *testing.T, processes int) *gatehouse {
	t.Helper()
	require.NoError(t, inLocks())
	b := granted(t, append(guardRules, scale.Rules...)...)
	g := &gatehouse{t: t, ns: namespace(t)}
	apply(t, g.ns, `
{apiVersion: v1, kind: ServiceAccount, metadata: {name: agent}}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: caller}, rules: [{apiGroups: [toolcrib.dev], resources: [tools], verbs: [call], resourceNames: [k8s_scale]}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: caller}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: caller}, subjects: [{kind: ServiceAccount, name: agent}]}
---
{apiVersion: rbac.authorization.k8s.io/v1, kind: RoleBinding, metadata: {name: approvers}, roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: toolcrib-approver},
  subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: ada@example.com}, {kind: ServiceAccount, name: agent}]}
`)
	var err error
	g.agent, err = cluster().ServiceAccount(t.Context(), g.ns, "agent")
	require.NoError(t, err)
	token, err := cluster().Kubectl(t.Context(), "create", "token", "agent", "-n", g.ns, "--audience=scales")
	require.NoError(t, err)
	g.token = strings.TrimSpace(string(token))
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("a key of enough bytes"), 0o600))
	for i := range processes {
		record := filepath.Join(t.TempDir(), fmt.Sprint("record-", i))
		g.records = append(g.records, record)
		g.processes = append(g.processes, start(t, "--access=write", "--auth=kubernetes", "--audience=scales", "--locks-namespace="+g.ns,
			"--locks-kubeconfig="+b.cfg.Kubeconfig, "--kubeconfig="+b.cfg.Kubeconfig, "--key-file="+key, "--record="+record))
	}
	apply(t, g.ns, webDeployment)
	g.since, err = cluster().AuditMark()
	require.NoError(t, err)
	return g
}

// bearer sends a token with each request.
type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// session is one of the agent's connections to a process.
func (g *gatehouse) session(p process) *mcp.ClientSession {
	g.t.Helper()
	client := mcp.NewClient(&mcp.Implementation{Name: "agent", Version: "1"}, nil)
	s, err := client.Connect(g.t.Context(), &mcp.StreamableClientTransport{Endpoint: p.URL, HTTPClient: &http.Client{Transport: bearer(g.token)}}, nil)
	require.NoError(g.t, err)
	g.t.Cleanup(func() { _ = s.Close() })
	return s
}

// scale calls the tool and returns what the agent reads.
func (g *gatehouse) scale(s *mcp.ClientSession, replicas int) string {
	res, err := s.CallTool(g.t.Context(), &mcp.CallToolParams{Name: "k8s_scale", Arguments: map[string]any{"name": "web", "namespace": g.ns, "replicas": replicas}})
	if err != nil {
		return err.Error()
	}
	return res.Content[0].(*mcp.TextContent).Text
}

// run runs the command that an answer holds, letter for letter.
func (g *gatehouse) run(kubeconfig, answer string) (string, error) {
	g.t.Helper()
	command := regexp.MustCompile(`(?m)^kubectl .*$`).FindString(answer)
	require.NotEmpty(g.t, command, answer)
	sh := exec.CommandContext(g.t.Context(), "sh", "-c", command)
	sh.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "PATH="+filepath.Dir(cluster().KubectlPath())+":"+os.Getenv("PATH"))
	out, err := sh.CombinedOutput()
	return string(out), err
}

// scaled counts the writes that the API server saw.
func (g *gatehouse) scaled() (n int) {
	g.t.Helper()
	events, err := cluster().Audit(g.since)
	require.NoError(g.t, err)
	for _, e := range events {
		if e.Namespace == g.ns && e.Resource == "deployments" && e.Subresource == "scale" && writes(e) {
			require.Equal(g.t, http.StatusOK, e.Code)
			n++
		}
	}
	return n
}

// gates are the gate's words in the records of all processes.
func (g *gatehouse) gates() (words []string) {
	g.t.Helper()
	for _, file := range g.records {
		raw, err := os.ReadFile(file)
		require.NoError(g.t, err)
		for line := range strings.Lines(string(raw)) {
			var e struct{ Gate string }
			require.NoError(g.t, json.Unmarshal([]byte(line), &e))
			words = append(words, e.Gate)
		}
	}
	return words
}

func TestAPersonApprovesWithTheAnswersCommand(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t, 1)
	ada, err := cluster().UserKubeconfig(t.Context(), "ada@example.com")
	require.NoError(t, err)
	s := g.session(g.processes[0])

	asked := g.scale(s, 2)
	require.Regexp(t, `^denied: a person must approve this write first\. Nothing was changed\.
Until \S+ approval `+g.ns+`/k8s-scale-[0-9a-f]{8}-1 waits for somebody who may decide to run:
kubectl -n `+g.ns+` patch approvals\.toolcrib\.dev k8s-scale-[0-9a-f]{8}-1 --subresource=status .*
They should read its spec.plan first, not a retelling\. Once it is approved, call again with the same arguments; calling before changes nothing\. What would change: deployments\.apps "web" in namespace "`+g.ns+`"

~ spec\.replicas: 0 -> 2`, asked)
	require.Equal(t, asked, g.scale(s, 2), "nobody has decided")

	out, err := g.run(g.agent, asked)
	require.Error(t, err)
	require.Contains(t, out, "is a ServiceAccount and never decides")
	require.Zero(t, g.scaled())

	out, err = g.run(ada, asked)
	require.NoError(t, err, out)
	require.Zero(t, g.scaled())
	done := g.scale(s, 2)
	require.Contains(t, done, "spec.replicas: 0 -> 2")
	require.NotContains(t, done, "denied")
	require.Equal(t, "2", at(t, "deploy", g.ns, "web", "spec.replicas"))
	require.Equal(t, 1, g.scaled())

	poke(t, "deploy", g.ns, "web", `{"spec":{"replicas":0}}`)
	require.Contains(t, g.scale(s, 2), "a person must approve")
	require.Equal(t, 1, g.scaled())
	name := regexp.MustCompile(g.ns + `/k8s-scale-[0-9a-f]{8}-1`).FindString(asked)
	require.Equal(t, []string{"pending " + name, "pending " + name, "consumed " + name + " by ada@example.com", "pending " + strings.TrimSuffix(name, "1") + "2"}, g.gates())
}

func TestProcessesRaceForOneApproval(t *testing.T) {
	t.Parallel()
	g := newGatehouse(t, 3)
	ada, err := cluster().UserKubeconfig(t.Context(), "ada@example.com")
	require.NoError(t, err)
	out, err := g.run(ada, g.scale(g.session(g.processes[0]), 3))
	require.NoError(t, err, out)

	const each = 6
	texts := make([]string, each*len(g.processes))
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range texts {
		s := g.session(g.processes[i%len(g.processes)])
		wg.Go(func() {
			<-begin
			texts[i] = g.scale(s, 3)
		})
	}
	close(begin)
	wg.Wait()
	require.Equal(t, 1, g.scaled())
	var consumed int
	for _, word := range g.gates() {
		if strings.HasPrefix(word, "consumed ") {
			consumed++
		}
	}
	require.Equal(t, 1, consumed)
	for _, text := range texts {
		require.Regexp(t, `^(denied: a person must|denied: approval \S+ was good for one call|conflict: |result: )`, text)
	}
}
