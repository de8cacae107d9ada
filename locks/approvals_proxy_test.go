package locks

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// redirected is a copy of a kubeconfig with another API server, whose
// certificate is ca.
func redirected(t *testing.T, kubeconfig, server string, ca *x509.Certificate) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(kubeconfig)
	require.NoError(t, err)
	for _, c := range config.Clusters {
		c.Server = server
		if ca != nil {
			c.CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
		}
	}
	file := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, file))
	return file
}

// breakage is a proxy before the API server that breaks off requests.
type breakage struct {
	*httputil.ReverseProxy
	mu   sync.Mutex
	plan []fault // for the writes to come, in their order
	down bool    // answers nothing any more
	held []func()
}

// fault is what becomes of one write.
type fault string

const (
	passes    fault = "passes"
	cutAfter  fault = "done, and the answer lost"
	cutBefore fault = "lost"
	held      fault = "lost, and delivered later"
	timesOut  fault = "done, and answered with 504"
	diesAfter fault = "done, and nothing is answered any more"
)

func (b *breakage) next(r *http.Request) (f fault, dead bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.down || r.Method == http.MethodGet || len(b.plan) == 0 {
		return passes, b.down
	}
	f, b.plan = b.plan[0], b.plan[1:]
	b.down = f == diesAfter
	return f, false
}

func (b *breakage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f, dead := b.next(r)
	switch {
	case dead || f == cutBefore:
	case f == passes:
		b.ReverseProxy.ServeHTTP(w, r)
		return
	case f == held:
		body, _ := io.ReadAll(r.Body) // of a request that is lost anyway
		late := r.Clone(context.WithoutCancel(r.Context()))
		late.Body = io.NopCloser(bytes.NewReader(body))
		b.mu.Lock()
		b.held = append(b.held, func() { b.ReverseProxy.ServeHTTP(httptest.NewRecorder(), late) })
		b.mu.Unlock()
	case f == timesOut:
		b.ReverseProxy.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(http.StatusGatewayTimeout)
		return
	default:
		b.ReverseProxy.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

// broken is a replica whose way to the API server breaks as planned.
func (r room) broken(plan ...fault) (*Locks, *breakage) {
	r.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", r.server)
	require.NoError(r.t, err)
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(config))
	require.NoError(r.t, err)
	to, err := url.Parse(config.Host)
	require.NoError(r.t, err)
	b := &breakage{ReverseProxy: httputil.NewSingleHostReverseProxy(to), plan: plan}
	b.Transport = transport
	front := httptest.NewTLSServer(b)
	r.t.Cleanup(front.Close)
	l, _ := r.replicaOf(redirected(r.t, r.server, front.URL, front.Certificate()))
	return l, b
}

func TestALostAnswerIsCertain(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	whole, _ := r.replica()
	for i, f := range []fault{cutAfter, cutBefore, held, timesOut} {
		about := func(q *mcpkit.ApprovalRequest) { q.ArgumentsHash = string(f) }
		l, _ := r.broken(f, f)
		asked := r.consume(l, r.request("call-1", about))
		require.Equal(t, mcpkit.ApprovalPending, asked.State, f)
		require.Len(t, r.kept(), i+1, f)
		r.approve(asked)

		l, b := r.broken(f)
		done := r.consume(l, r.request("call-2", about))
		require.Equal(t, []any{mcpkit.ApprovalConsumed, asked.Name}, []any{done.State, done.Name}, f)
		for _, deliver := range b.held {
			deliver()
		}
		require.Equal(t, "call-2", kubectl(t, "-n", r.ns, "get", "approval", path.Base(asked.Name), "-o", "jsonpath={.status.consumedBy}"), f)
		late := r.request("call-3", about, func(q *mcpkit.ApprovalRequest) { q.PlanHash = "plan-2" })
		require.Equal(t, mcpkit.ApprovalPending, r.consume(whole, late).State, f)
		kubectl(t, "-n", r.ns, "delete", "approval", path.Base(r.consume(whole, late).Name))
	}
}

// The write must not begin while it is not known whether the approval is used.
func TestNoCertaintyNoWrite(t *testing.T) {
	t.Parallel()
	r := newRoom(t)
	whole, _ := r.replica()
	asked := r.approved(whole, r.request("call-1"))
	l, _ := r.broken(diesAfter)
	_, err := l.Consume(t.Context(), r.request("call-2"))
	known := refusal(t, err)
	require.Equal(t, mcpkit.Unavailable, known.Kind)
	require.Equal(t, "the API server broke off while approval "+asked.Name+" was being used up, so whether it is used up is not known. Nothing was changed. Call again with the same arguments: if it is used up, a person must approve again", known.Text)
	again := r.consume(whole, r.request("call-3"))
	require.Equal(t, []any{mcpkit.ApprovalPending, mcpkit.ApprovalUsed, asked.Name}, []any{again.State, again.Fate, again.Earlier})
}
