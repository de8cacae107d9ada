package kubernetes

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// library serves manifests over https, and is the one host its backend may ask.
type library struct {
	*httptest.Server
	manifest atomic.Value // string
	fetched  atomic.Int64
}

func newLibrary(t *testing.T) *library {
	t.Helper()
	l := &library{}
	l.manifest.Store(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {a: "1"}}`)
	l.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		l.fetched.Add(1)
		switch r.URL.Path {
		case "/app.yaml":
			fmt.Fprint(w, l.manifest.Load())
		case "/moved":
			http.Redirect(w, r, "/app.yaml", http.StatusFound)
		case "/away":
			_, port, _ := net.SplitHostPort(r.Host)
			http.Redirect(w, r, "https://localhost:"+port+"/app.yaml", http.StatusFound)
		case "/down":
			http.Redirect(w, r, "http://"+r.Host+"/app.yaml", http.StatusFound)
		case "/round":
			http.Redirect(w, r, "/round", http.StatusFound)
		case "/huge":
			fmt.Fprint(w, "a: ", strings.Repeat("x", manifestBytes))
		default:
			http.NotFound(w, r)
		}
	}))
	l.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that hangs up is what one test wants
	l.StartTLS()
	t.Cleanup(l.Close)
	return l
}

// backend may fetch from the given hosts, and trusts the library's certificate.
func (l *library) backend(b *Backend, hosts ...string) *Backend {
	roots := x509.NewCertPool()
	roots.AddCert(l.Certificate())
	b.cfg.AllowedURLHosts, b.fetchTLS = hosts, &tls.Config{RootCAs: roots}
	return b
}

func (l *library) host() string { return l.Listener.Addr().String() }

func TestCreateResourceFromURLIsGated(t *testing.T) {
	t.Parallel()
	ns, l := namespace(t), newLibrary(t)
	b := l.backend(granted(t, createResourceFromURL.Rules...), l.host())
	args := map[string]any{"namespace": ns, "url": l.URL + "/moved"}
	cms := testClients(t).typed.CoreV1().ConfigMaps(ns)
	mcptest.RequireSteady(t, toolset(b), createResourceFromURL.Name, args)

	a := serve(t, b, mcpkit.AccessWrite, nil).Call("k8s_create_resource_from_url", args)
	require.Contains(t, a.Text, "denied: a person must approve")
	require.Contains(t, a.Text, `+ data: {a: "1"}`)

	p := &person{Says: "decline"}
	s := writing(t, b, p)
	require.Contains(t, s.Call("k8s_create_resource_from_url", args).Text, "denied: the person declined")
	require.Contains(t, p.Asked[0], `+ configmaps "cm" in namespace "`+ns+`"`)

	p.Says = "accept"
	p.First = func() { l.manifest.Store(`{apiVersion: v1, kind: ConfigMap, metadata: {name: cm}, data: {a: "evil"}}`) }
	require.Contains(t, s.Call("k8s_create_resource_from_url", args).Text, "conflict: ")
	_, err := cms.Get(t.Context(), "cm", metav1.GetOptions{})
	require.ErrorContains(t, err, "not found")

	p.First = nil
	require.False(t, s.Call("k8s_create_resource_from_url", args).IsError)
	require.Equal(t, `{"a":"evil"}`, at(t, "cm", ns, "cm", "data"))
	require.Contains(t, s.Call("k8s_create_resource_from_url", args).Text, "conflict: ")
}

func TestCreateResourceFromURLDoesNotExistWithoutAHost(t *testing.T) {
	t.Parallel()
	list := func(b *Backend) []string {
		tools, err := serve(t, b, mcpkit.AccessWrite, nil).ListTools(t.Context(), nil)
		require.NoError(t, err)
		var names []string
		for _, tool := range tools.Tools {
			names = append(names, tool.Name)
		}
		return names
	}
	require.NotContains(t, list(admin(t)), "k8s_create_resource_from_url")
	require.Contains(t, list(New(Config{AllowedURLHosts: []string{"example.com"}})), "k8s_create_resource_from_url")
}

func TestCreateResourceFromURLRefusals(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	_, port, err := net.SplitHostPort(l.host())
	require.NoError(t, err)
	b := l.backend(admin(t), l.host(), "localhost:"+port, "127.0.0.1:1", "nowhere.invalid")
	s := writing(t, b, &person{})
	for _, c := range []struct {
		url, text string
		fetches   int64
	}{
		{"http://" + l.host() + "/app.yaml", "invalid: url must begin with https://", 0},
		{"file:///etc/passwd", "invalid: url is not one", 0},
		{"//" + l.host() + "/app.yaml", "invalid: url must begin with https://", 0},
		{"https:" + l.host(), "invalid: url is not one", 0},
		{"https://user:hunter2@" + l.host() + "/app.yaml", "invalid: url must not carry a user or password", 0},
		{"https://example.com/app.yaml", `denied: the operator has not allowed manifests from "example.com", only from ` + l.host(), 0},
		{"https://evil.nowhere.invalid/", "denied: the operator has not allowed", 0},
		{"https://127.0.0.1/app.yaml", "denied: the operator has not allowed", 0},
		{"https://localhost:" + port + "/app.yaml", "denied: localhost leads to the address", 0},
		{"https://127.0.0.1:1/app.yaml", "unavailable: cannot fetch the manifest from 127.0.0.1:1: ", 0},
		{"https://nowhere.invalid/app.yaml", "unavailable: cannot fetch the manifest from nowhere.invalid: ", 0},
		{l.URL + "/away", "denied: " + l.host() + " redirects to another host, localhost:" + port, 1},
		{l.URL + "/down", "denied: " + l.host() + " redirects to another host", 1},
		{l.URL + "/round", "unavailable: " + l.host() + " redirects too often", 6},
		{l.URL + "/nothing", "not_found: " + l.host() + " answered 404", 1},
		{l.URL + "/huge", "too_large: what " + l.host() + " sent has more than 2097152 bytes", 1},
	} {
		before := l.fetched.Load()
		a := s.Call("k8s_create_resource_from_url", map[string]any{"url": c.url})
		require.True(t, a.IsError, c.url)
		require.Contains(t, a.Text, c.text)
		require.NotContains(t, a.Text, "hunter2")
		require.Equal(t, c.fetches, l.fetched.Load()-before, c.url)
	}
}

func TestCreateResourceFromURLTrustsNoOtherCertificate(t *testing.T) {
	t.Parallel()
	l := newLibrary(t)
	b := admin(t)
	b.cfg.AllowedURLHosts = []string{l.host()}
	a := writing(t, b, &person{}).Call("k8s_create_resource_from_url", map[string]any{"url": l.URL + "/app.yaml"})
	require.Contains(t, a.Text, "unavailable: cannot fetch the manifest")
	require.Contains(t, a.Text, "certificate")
	require.Zero(t, l.fetched.Load())
}

func FuzzAllowedURL(f *testing.F) {
	for _, seed := range []string{"https://example.com/a", "https://example.com@evil.com/", "https://example.com:443/", "https://EXAMPLE.com", "https://example.com\\@evil", "https://example.com#@evil", "https://[::1]/"} {
		f.Add(seed)
	}
	b := New(Config{AllowedURLHosts: []string{"example.com"}})
	f.Fuzz(func(t *testing.T, text string) {
		u, err := b.allowedURL(text)
		if err != nil {
			return
		}
		req, err := http.NewRequest(http.MethodGet, u.String(), nil)
		if err != nil {
			return
		}
		require.Equal(t, "example.com", strings.ToLower(req.URL.Host))
		require.Equal(t, "https", req.URL.Scheme)
	})
}
