package helm

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"
)

// host is a server of the test's own, for what no honest repository does. It
// remembers what it was asked.
type host struct {
	*httptest.Server
	mu    sync.Mutex
	asked []*http.Request
}

func newHost(t *testing.T, answer func(h *host, w http.ResponseWriter, r *http.Request)) *host {
	t.Helper()
	h := &host{}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		h.asked = append(h.asked, r)
		h.mu.Unlock()
		answer(h, w, r)
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *host) name() string { return strings.TrimPrefix(h.URL, "http://") }

// credentials are the Authorization headers that arrived.
func (h *host) credentials() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []string
	for _, r := range h.asked {
		if v := r.Header.Get("Authorization"); v != "" {
			out = append(out, v)
		}
	}
	return out
}

// collector takes everything and gives out a token.
func collector(t *testing.T) *host {
	return newHost(t, func(_ *host, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"token": "t0ken"}`) })
}

// tokenRegistry is a registry that wants a token of another host first.
func tokenRegistry(t *testing.T, realm string) *host {
	archive, err := charts.Chart{Name: "web", Version: "1.0.0"}.Archive()
	require.NoError(t, err)
	digest := func(b []byte) string { s := sha256.Sum256(b); return "sha256:" + hex.EncodeToString(s[:]) }
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": map[string]any{"mediaType": registry.ConfigMediaType, "digest": digest([]byte("{}")), "size": 2},
		"layers": []any{map[string]any{"mediaType": registry.ChartLayerMediaType, "digest": digest(archive), "size": len(archive)}},
	})
	require.NoError(t, err)
	return newHost(t, func(_ *host, w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer t0ken":
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="registry"`, realm))
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasSuffix(r.URL.Path, "/tags/list"):
			fmt.Fprint(w, `{"name": "x/web", "tags": ["1.0.0", "latest", "sha256-abc.sig"]}`)
		case strings.Contains(r.URL.Path, "/manifests/"):
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Docker-Content-Digest", digest(manifest))
			w.Header().Set("Content-Length", fmt.Sprint(len(manifest)))
			if r.Method != http.MethodHead {
				_, _ = w.Write(manifest)
			}
		default:
			_, _ = w.Write(archive)
		}
	})
}

func TestTokensAreFetchedFromNamedHostsAlone(t *testing.T) {
	t.Parallel()
	thief := collector(t)
	// By another name than the registry's, or the library itself would refuse.
	realm := strings.Replace(thief.URL, "127.0.0.1", "localhost", 1) + "/token"
	r := tokenRegistry(t, realm)
	backend := func(user string, tokenHosts ...string) *Backend {
		return New(Config{Repositories: repositoryFile(t, "oci", "oci://"+r.name()+"/x"+user), PlainHTTPRegistries: []string{r.name()}, TokenHosts: tokenHosts})
	}
	_, err := backend(withUser).loadChart(t.Context(), ChartRef{Chart: "oci/web"})
	there := strings.TrimSuffix(strings.TrimPrefix(realm, "http://"), "/token")
	requireKind(t, err, mcpkit.Denied, "wants its credentials sent to "+there, "--token-hosts="+there)
	require.Empty(t, thief.asked)

	c, err := backend("").loadChart(t.Context(), ChartRef{Chart: "oci/web"})
	require.NoError(t, err, "without credentials there is nothing to steal")
	require.Equal(t, "1.0.0", c.Metadata.Version)
	require.Empty(t, thief.credentials())

	c, err = backend(withUser, there).loadChart(t.Context(), ChartRef{Chart: "oci/web"})
	require.NoError(t, err)
	require.Equal(t, "1.0.0", c.Metadata.Version)
	require.Len(t, c.versions, 1, "tags that are no versions are left out")
	require.NotEmpty(t, thief.credentials())
}

// indexOn is a chart repository whose index names one archive at an address.
func indexOn(t *testing.T, digest string, address func(h *host) string) *host {
	archive, err := charts.Chart{Name: "web", Version: "1.0.0"}.Archive()
	require.NoError(t, err)
	return newHost(t, func(h *host, w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/index.yaml") {
			fmt.Fprintf(w, "apiVersion: v1\nentries: {web: [{apiVersion: v2, name: web, version: 1.0.0, digest: %q, urls: [%q]}]}", digest, address(h))
			return
		}
		_, _ = w.Write(archive)
	})
}

func TestCredentialsOfAnIndex(t *testing.T) {
	t.Parallel()
	other := indexOn(t, "", func(h *host) string { return "web-1.0.0.tgz" })
	home := indexOn(t, "", func(*host) string { return other.URL + "/web-1.0.0.tgz" })
	load := func(rest string) error {
		_, err := New(Config{Repositories: repositoryFile(t, "shop", home.URL+"/charts"+rest)}).loadChart(t.Context(), ChartRef{Chart: "shop/web"})
		return err
	}
	require.NoError(t, load(withUser))
	require.Empty(t, other.credentials(), "the same address at another port is another host")
	require.NotEmpty(t, home.credentials())
	require.NoError(t, load(withUser+", pass_credentials_all: true"))
	require.Len(t, other.credentials(), 1, "the operator said so")

	require.NoError(t, load("?token=hidden"))
	for _, r := range other.asked {
		require.NotContains(t, r.URL.String()+r.Referer(), "hidden")
	}
	leading := newHost(t, func(_ *host, w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+r.URL.Path, http.StatusFound)
	})
	_, err := New(Config{Repositories: repositoryFile(t, "shop", leading.URL+"/charts?token=hidden"+withUser+", pass_credentials_all: true")}).loadChart(t.Context(), ChartRef{Chart: "shop/web"})
	require.NoError(t, err)
	require.Len(t, other.credentials(), 1, "a redirect is not the index")
	for _, r := range other.asked {
		require.NotContains(t, r.URL.String()+r.Referer(), "hidden")
	}
	inURL := indexOn(t, "", func(h *host) string { return "http://eve:pw@" + other.name() + "/web.tgz" })
	_, err = New(Config{Repositories: repositoryFile(t, "shop", inURL.URL)}).loadChart(t.Context(), ChartRef{Chart: "shop/web"})
	require.NoError(t, err)
	require.Len(t, other.credentials(), 1, "credentials of an index are nobody's")
}

func TestIndexLeadsNowhereElse(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"file:///etc/passwd":        "names a URL that begins with file://",
		"ftp://x.invalid/web.tgz":   "names a URL that begins with ftp://",
		"http://169.254.169.254/x":  "leads to the address 169.254.169.254, which no chart is fetched from",
		"oci://x.invalid/a/b?c":     "cannot",
		"http://[fe80::1%25lo]/web": "",
		"%zz":                       "names no usable URL",
	} {
		h := indexOn(t, "", func(*host) string { return address })
		_, err := New(Config{Repositories: repositoryFile(t, "shop", h.URL)}).loadChart(t.Context(), ChartRef{Chart: "shop/web"})
		require.ErrorContains(t, err, want, address)
	}
}

func TestIndexMayLeadToARegistry(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	h := indexOn(t, "", func(*host) string { return r.OCI(charts.Plain, "web") + ":1.0.0" })
	b := New(Config{Repositories: repositoryFile(t, "shop", h.URL+withUser), PlainHTTPRegistries: []string{r.Home}})
	c, err := b.loadChart(t.Context(), ChartRef{Chart: "shop/web"})
	require.NoError(t, err)
	require.Equal(t, "1.0.0", c.Metadata.Version)
	for _, q := range requests(t, r) {
		require.Empty(t, q.Authorization)
	}
}

func TestDigestIsHeldAgainstTheIndex(t *testing.T) {
	t.Parallel()
	h := indexOn(t, strings.Repeat("0", 64), func(*host) string { return "web-1.0.0.tgz" })
	_, err := New(Config{Repositories: repositoryFile(t, "shop", h.URL)}).loadChart(t.Context(), ChartRef{Chart: "shop/web"})
	requireKind(t, err, mcpkit.Conflict, "is not what the repository's index promises")
}

func TestOtherMachinesDoNotLeadHere(t *testing.T) {
	t.Parallel()
	far, err := newRepository(repo.Entry{Name: "far", URL: "https://charts.example.com/x"})
	require.NoError(t, err)
	near, err := newRepository(repo.Entry{Name: "near", URL: "http://localhost:1/x"})
	require.NoError(t, err)
	for address, refused := range map[string][2]bool{
		"127.0.0.1": {true, false}, "::1": {true, false}, "::ffff:127.0.0.1": {true, false}, "169.254.169.254": {true, true},
		"fe80::1": {true, true}, "0.0.0.0": {true, true}, "224.0.0.1": {true, true}, "10.0.0.1": {false, false}, "93.184.216.34": {false, false},
	} {
		at := netip.AddrPortFrom(netip.MustParseAddr(address), 443).String()
		require.Equal(t, refused[0], far.mayDial("tcp", at, nil) != nil, address)
		require.Equal(t, refused[1], near.mayDial("tcp", at, nil) != nil, address)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	o := locked()
	o.TLS = true
	r := chartRepository(t, o)
	trusted := withUser + ", caFile: " + r.CAFile
	b := New(Config{Repositories: repositoryFile(t, "shop", r.URL(charts.Plain)+trusted, "oci", registryURL(r, charts.Plain)+trusted,
		"led", r.URL(charts.Redirect)+trusted, "listed", r.URL(charts.ArchivesElsewhere)+trusted,
		"strange", r.URL(charts.Plain)+withUser, "careless", r.URL(charts.Plain)+withUser+", insecure_skip_tls_verify: true")})
	for _, name := range []string{"shop", "oci", "led", "listed", "careless"} {
		c, err := b.loadChart(t.Context(), ChartRef{name + "/web", "1.0.0"})
		require.NoError(t, err, name)
		require.Equal(t, "1.0.0", c.Metadata.Version)
	}
	_, err := b.loadChart(t.Context(), ChartRef{Chart: "strange/web"})
	requireKind(t, err, mcpkit.Unavailable, "certificate")
	requireKept(t, r, true)
}

func TestHTTPSIsNotLeft(t *testing.T) {
	t.Parallel()
	plain := collector(t)
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL+"/charts/index.yaml", http.StatusFound))
	t.Cleanup(secure.Close)
	b := New(Config{Repositories: repositoryFile(t, "shop", secure.URL+withUser+", insecure_skip_tls_verify: true")})
	_, err := b.loadChart(t.Context(), ChartRef{Chart: "shop/web"})
	requireKind(t, err, mcpkit.Denied, "redirects from https to http")
	require.Empty(t, plain.asked)
}

func TestRedirectsEnd(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(h *host, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/again", http.StatusFound) })
	_, err := New(Config{Repositories: repositoryFile(t, "shop", h.URL)}).loadChart(t.Context(), ChartRef{Chart: "shop/web"})
	requireKind(t, err, mcpkit.Unavailable, "redirects too often")
	require.Len(t, h.asked, maxRedirects+1)
}

func TestUnchangedIndexIsNotSentAgain(t *testing.T) {
	t.Parallel()
	h := newHost(t, func(_ *host, w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"1"`)
		fmt.Fprint(w, "apiVersion: v1\nentries: {web: [{apiVersion: v2, name: web, version: 1.0.0, urls: [x]}]}")
	})
	b := New(Config{Repositories: repositoryFile(t, "shop", h.URL)})
	now := b.now()
	for range 3 {
		at := now
		now = now.Add(2 * indexTTL)
		b.now = func() time.Time { return at }
		i, err := b.index(t.Context(), mustRepository(t, b, "shop"))
		require.NoError(t, err)
		require.Equal(t, at, i.asked)
		require.Equal(t, "1.0.0", i.charts["web"].versions[0].version)
	}
	require.Len(t, h.asked, 3)
	require.Equal(t, `"1"`, h.asked[2].Header.Get("If-None-Match"))
}

func TestClientCertificateIsShownAtHomeAlone(t *testing.T) {
	t.Parallel()
	shown := func(answer http.HandlerFunc) (*httptest.Server, *atomic.Int64) {
		var seen atomic.Int64
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen.Add(int64(len(r.TLS.PeerCertificates)))
			answer(w, r)
		}))
		s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		s.StartTLS()
		t.Cleanup(s.Close)
		return s, &seen
	}
	other, leaked := shown(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "apiVersion: v1\nentries: {}") })
	home, seen := shown(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, http.StatusFound) })
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
		return path
	}
	pair := home.TLS.Certificates[0] // any will do
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	require.NoError(t, err)
	entry := fmt.Sprintf("%s, caFile: %s, certFile: %s, keyFile: %s", home.URL, write("ca", "CERTIFICATE", pair.Certificate[0]),
		write("cert", "CERTIFICATE", pair.Certificate[0]), write("key", "PRIVATE KEY", key))
	b := New(Config{Repositories: repositoryFile(t, "shop", entry)})
	_, err = b.index(t.Context(), mustRepository(t, b, "shop"))
	require.NoError(t, err)
	require.Positive(t, seen.Load())
	require.Zero(t, leaked.Load())
}
