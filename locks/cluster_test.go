package locks

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed"
)

var shared = testbed.Shared{Options: testbed.Options{APIServerArgs: tokensName(issuerDoor().Addr())}}

func bed() *testbed.Cluster { return shared.Cluster() }

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

const audience = "shelf.tools.svc"

// steps is a clock that stands still until it is moved.
type steps struct {
	mu  sync.Mutex
	now time.Time
}

func (s *steps) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *steps) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// openAs returns the locks of a server in namespace tools with a clock of its
// own, which begins now. Its name sets it apart in the audit log.
func openAs(t *testing.T, kubeconfig, agent string) (*Locks, *steps) {
	t.Helper()
	cfg := mcpkit.LocksConfig{Kubeconfig: kubeconfig, Namespace: "tools", Audience: audience, UserAgent: agent}
	opened, err := Open(cfg)
	require.NoError(t, err)
	now := &steps{now: time.Now()}
	return newLocks(cfg, opened.(*Locks).cluster, now), now
}

// delegated is a kubeconfig of a tool server's ServiceAccount, with the rights
// every one of them has.
var delegated = sync.OnceValues(func() (string, error) {
	return bed().ServiceAccount(context.Background(), "tools", "shelf", "system:auth-delegator")
})

func server(t *testing.T) string {
	t.Helper()
	path, err := delegated()
	require.NoError(t, err)
	return path
}

// account makes a ServiceAccount in namespace agents and returns a token of it.
func account(t *testing.T, name, audience string) string {
	t.Helper()
	require.NoError(t, bed().Apply(t.Context(), fmt.Appendf(nil, `
{apiVersion: v1, kind: Namespace, metadata: {name: agents}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: %s, namespace: agents}}
`, name)))
	return kubectl(t, "create", "token", name, "-n", "agents", "--audience", audience)
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := bed().Kubectl(t.Context(), args...)
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// reviews counts what the server called agent asked the API server, which may
// have told it to ask again.
func reviews(t *testing.T, agent, resource string) (n int) {
	t.Helper()
	events, err := bed().Audit(0)
	require.NoError(t, err)
	for _, e := range events {
		if e.UserAgent == agent && e.Resource == resource && e.Verb == "create" && e.Code == http.StatusCreated {
			n++
		}
	}
	return n
}

func refusal(t *testing.T, err error) *mcpkit.Error {
	t.Helper()
	var known *mcpkit.Error
	require.ErrorAs(t, err, &known)
	return known
}
