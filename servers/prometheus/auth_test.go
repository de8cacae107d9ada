package prometheus

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/monitoring"
)

// configured writes an HTTP client configuration and returns its path.
func configured(t *testing.T, format string, args ...any) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "http.yaml")
	writeFile(t, path, fmt.Sprintf(format, args...))
	return path
}

// demanding is a gateway that wants one header.
func demanding(t *testing.T, header, value string) *gateway {
	t.Helper()
	return newGateway(t, func(w http.ResponseWriter, r *http.Request, _ url.Values) bool {
		if r.Header.Get(header) == value {
			return true
		}
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return false
	})
}

// requireLetIn requires that a configuration opens the way and another does
// not, and that neither answer tells the secret.
func requireLetIn(t *testing.T, g *gateway, good, bad, secret string) {
	t.Helper()
	out := serve(t, g.backend(good), mcpkit.AccessRead, nil).Call("prometheus_query", map[string]any{"query": "count(up)"})
	require.False(t, out.IsError, out.Text)
	require.Contains(t, out.Text, "{}\t7")
	refused := serve(t, g.backend(bad), mcpkit.AccessRead, nil).Call("prometheus_query", map[string]any{"query": "count(up)"})
	require.True(t, refused.IsError)
	require.Contains(t, refused.Text, "denied: Prometheus refuses this server's credentials (401) when asked to evaluate the query. A person must give it others with --prometheus-http-config")
	require.NotContains(t, out.Text+refused.Text, secret)
}

func TestBasicAuth(t *testing.T) {
	g := demanding(t, "Authorization", "Basic dXNlcjpodXNoLWh1c2g=") // user:hush-hush
	g.Start()
	requireLetIn(t, g, configured(t, "basic_auth: {username: user, password: hush-hush}"), configured(t, "basic_auth: {username: user, password: hush-hush-not}"), "hush-hush")
}

func TestBearerFileIsReadAgain(t *testing.T) {
	g := demanding(t, "Authorization", "Bearer second-s3cret")
	g.Start()
	token := filepath.Join(t.TempDir(), "token")
	writeFile(t, token, "first-s3cret")
	s := serve(t, g.backend(configured(t, "authorization: {credentials_file: %s}", token)), mcpkit.AccessRead, nil)
	requireRefused(t, s, "prometheus_query", map[string]any{"query": "up"}, "denied: ")
	writeFile(t, token, "second-s3cret")
	require.Len(t, ask(t, s, "up").Series.Rows, 7)
}

func TestOAuth2(t *testing.T) {
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, secret, _ := r.BasicAuth()
		if id != "toolcrib" || secret != "client-s3cret" {
			http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "issued-t0ken", "token_type": "Bearer", "expires_in": 60})
	}))
	t.Cleanup(issuer.Close)
	g := demanding(t, "Authorization", "Bearer issued-t0ken")
	g.Start()
	const config = "oauth2: {client_id: toolcrib, client_secret: %s, token_url: %s/token}"
	s := serve(t, g.backend(configured(t, config, "client-s3cret", issuer.URL)), mcpkit.AccessRead, nil)
	require.Len(t, ask(t, s, "up").Series.Rows, 7)

	wrong := serve(t, g.backend(configured(t, config, "wrong-s3cret", issuer.URL)), mcpkit.AccessRead, nil)
	a := wrong.Call("prometheus_query", map[string]any{"query": "up"})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: the token endpoint refuses this server's credentials (401)")
	require.NotContains(t, a.Text, "s3cret")
}

func TestTenantHeader(t *testing.T) {
	g := demanding(t, "X-Scope-OrgID", "team-a")
	g.Start()
	requireLetIn(t, g, configured(t, "http_headers: {X-Scope-OrgID: {values: [team-a]}}"), configured(t, "http_headers: {X-Scope-OrgID: {values: [team-b]}}"), "team-")
}

func TestTLSWithACertificateAuthority(t *testing.T) {
	g := newGateway(t, everything)
	g.StartTLS()
	ca := filepath.Join(t.TempDir(), "ca.crt")
	writeFile(t, ca, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: g.Certificate().Raw})))
	s := serve(t, g.backend(configured(t, "tls_config: {ca_file: %s}", ca)), mcpkit.AccessRead, nil)
	require.Len(t, ask(t, s, "up").Series.Rows, 7)
	requireRefused(t, serve(t, g.backend(""), mcpkit.AccessRead, nil), "prometheus_query", map[string]any{"query": "up"}, "certificate signed by unknown authority")
}

func TestProtectedPrometheus(t *testing.T) {
	t.Parallel()
	p, err := monitoring.Start(context.Background(), monitoring.Options{Protected: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Stop()) })
	const config = "tls_config: {ca_file: %s}\nbasic_auth: {username: %s, password: %s}"
	reach := func(password string) *Backend {
		return New(Config{Prometheus: Endpoint{URL: p.Prometheus, HTTPConfig: configured(t, config, p.CAFile, p.User, password)}})
	}
	require.Equal(t, "{}", ask(t, serve(t, reach(p.Password), mcpkit.AccessRead, nil), "count(up)").Series.Rows[0][0])
	a := serve(t, reach("guessed-"+p.Password), mcpkit.AccessRead, nil).Call("prometheus_query", map[string]any{"query": "up"})
	require.Contains(t, a.Text, "denied: Prometheus refuses this server's credentials (401)")
	require.NotContains(t, a.Text, p.Password)
}

func TestAConfigurationThatDoesNotWork(t *testing.T) {
	for config, want := range map[string]string{
		configured(t, "basic_auth: {user: x}"):     "unavailable: --prometheus-http-config does not work: ",
		filepath.Join(t.TempDir(), "missing.yaml"): "unavailable: --prometheus-http-config does not work: open ",
	} {
		b := New(Config{Prometheus: Endpoint{URL: stack().Prometheus, HTTPConfig: config}})
		requireRefused(t, serve(t, b, mcpkit.AccessRead, nil), "prometheus_query", map[string]any{"query": "up"}, want)
	}
}
