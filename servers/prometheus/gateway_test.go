package prometheus

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// gateway stands before the shared Prometheus, as a proxy or another query
// endpoint would, and keeps what it was asked.
type gateway struct {
	*httptest.Server

	mu    sync.Mutex
	asked []request
}

type request struct {
	method string
	path   string
	form   url.Values
	header http.Header
}

// newGateway passes on what admit lets through; admit answers the rest itself.
func newGateway(t testing.TB, admit func(w http.ResponseWriter, r *http.Request, form url.Values) bool) *gateway {
	t.Helper()
	return gatewayTo(t, stack().Prometheus, admit)
}

// gatewayTo stands before any server.
func gatewayTo(t testing.TB, server string, admit func(w http.ResponseWriter, r *http.Request, form url.Values) bool) *gateway {
	t.Helper()
	target, err := url.Parse(server)
	require.NoError(t, err)
	next := httputil.NewSingleHostReverseProxy(target)
	next.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) } // it would be printed that a client has left
	g := &gateway{}
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client is gone
		}
		form, _ := url.ParseQuery(string(body) + "&" + r.URL.RawQuery) // of Prometheus's own client, well formed
		g.mu.Lock()
		g.asked = append(g.asked, request{r.Method, r.URL.Path, form, r.Header.Clone()})
		g.mu.Unlock()
		if !admit(w, r, form) {
			return
		}
		if r.Method == http.MethodPost {
			body = []byte(form.Encode())
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	}))
	t.Cleanup(g.Close)
	return g
}

func everything(http.ResponseWriter, *http.Request, url.Values) bool { return true }

// backend is one that goes through the gateway.
func (g *gateway) backend(httpConfig string) *Backend {
	return New(Config{Prometheus: Endpoint{URL: g.URL, HTTPConfig: httpConfig}, UserAgent: "prometheus-mcp/test"})
}

// requests returns and forgets what was asked so far.
func (g *gateway) requests() []request {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := g.asked
	g.asked = nil
	return out
}

// lacks answers as a query endpoint without some of Prometheus's API does.
func lacks(paths ...string) func(http.ResponseWriter, *http.Request, url.Values) bool {
	return func(w http.ResponseWriter, r *http.Request, form url.Values) bool {
		form.Del("limit") // Thanos and Mimir before 3.0 do not know it
		form.Del("timeout")
		for _, p := range paths {
			if strings.HasPrefix(r.URL.Path, p) {
				http.NotFound(w, r)
				return false
			}
		}
		r.URL.RawQuery = form.Encode()
		return true
	}
}
