package helm

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// The most that is read of one answer, in bytes, once decompressed by HTTP.
const (
	indexBytes   = 32 << 20
	archiveBytes = 20 << 20
)

// maxRedirects is how often one request is led on.
const maxRedirects = 5

// visitor reaches one repository and what it leads to. Every request passes its
// RoundTrip, which alone decides who gets to see the repository's credentials:
// its own scheme, host and port, and for a registry the token hosts that the
// operator named. No proxy is taken from the environment.
type visitor struct {
	r          *repository
	home       *url.URL
	userAgent  string
	tokenHosts []string
	toHome     *http.Transport
	away       *http.Transport // without the client certificate, and never to this machine or a link-local address
}

// visit returns a way to r. Close it to let go of its connections.
func (b *Backend) visit(r *repository) (*visitor, error) {
	v := &visitor{r: r, userAgent: b.cfg.UserAgent, tokenHosts: b.cfg.TokenHosts}
	v.home = &url.URL{Scheme: r.base.Scheme, Host: r.base.Host}
	if r.isRegistry() {
		v.home = registryHome(r.base.Host, b.plainHTTP(r.base.Host))
	}
	roots, err := r.roots()
	if err != nil {
		return nil, err
	}
	secure := &tls.Config{RootCAs: roots, InsecureSkipVerify: r.InsecureSkipTLSverify}
	if r.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(r.CertFile, r.KeyFile)
		if err != nil {
			return nil, mcpkit.Errorf(mcpkit.Unavailable, "the client certificate of repository %q does not work: %w", r.Name, err)
		}
		secure.Certificates = []tls.Certificate{pair}
	}
	v.toHome = newTransport(secure, nil)
	v.away = newTransport(&tls.Config{RootCAs: roots}, r.mayDial)
	return v, nil
}

// dialTimeout bounds how long an unreachable repository can hold up a call.
const dialTimeout = 5 * time.Second

func newTransport(secure *tls.Config, control func(string, string, syscall.RawConn) error) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: control}
	return &http.Transport{DialContext: dialer.DialContext, TLSClientConfig: secure, TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true}
}

// roots are the authorities r's certificates may come from; nil for the system's.
func (r *repository) roots() (*x509.CertPool, error) {
	if r.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(r.CAFile)
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the CA file of repository %q cannot be read: %w", r.Name, err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the CA file of repository %q holds no certificate", r.Name)
	}
	return roots, nil
}

// mayDial refuses addresses to which no repository outside this machine has any
// business leading us: cloud metadata lives on a link-local one.
func (r *repository) mayDial(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %s: %w", address, err)
	}
	ip := to.Addr().Unmap()
	if ip.IsLoopback() && !r.local || ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() {
		return mcpkit.Errorf(mcpkit.Denied, "repository %q leads to the address %s, which no chart is fetched from", r.Name, ip)
	}
	return nil
}

// close lets go of the connections.
func (v *visitor) close() {
	v.toHome.CloseIdleConnections()
	v.away.CloseIdleConnections()
}

// http is v as an HTTP client that follows a few redirects, never from https
// to http.
func (v *visitor) http() *http.Client {
	return &http.Client{Transport: v, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		switch {
		case len(via) > maxRedirects:
			return mcpkit.Errorf(mcpkit.Unavailable, "repository %q redirects too often", v.r.Name)
		case via[len(via)-1].URL.Scheme == "https" && r.URL.Scheme != "https":
			return mcpkit.Errorf(mcpkit.Denied, "repository %q redirects from https to http", v.r.Name)
		}
		return nil
	}}
}

// RoundTrip sends a request with no more credentials than its host may see.
func (v *visitor) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", v.userAgent)
	req.Header.Del("Referer") // whose query may be a credential
	atHome := sameOrigin(req.URL, v.home)
	switch {
	case v.r.isRegistry() && atHome:
		return v.toHome.RoundTrip(req)
	case v.r.isRegistry():
		return v.leave(req)
	}
	req.Header.Del("Authorization")
	named := req.Response == nil // by the index, not by a redirect
	if r := v.r; r.Username != "" && (atHome || r.PassCredentialsAll && named) {
		req.SetBasicAuth(r.Username, r.Password)
	}
	if atHome {
		return v.toHome.RoundTrip(req)
	}
	return v.away.RoundTrip(req)
}

// leave sends a request of a registry to another host: of a redirect, or for a
// token, which is where a registry could have credentials sent that were meant
// for itself.
func (v *visitor) leave(req *http.Request) (*http.Response, error) {
	carries := req.Header.Get("Authorization") != "" || req.Method != http.MethodGet && req.Method != http.MethodHead
	if carries && (v.home.Scheme == "https" && req.URL.Scheme != "https" || !slices.Contains(v.tokenHosts, strings.ToLower(req.URL.Host))) {
		return nil, mcpkit.Errorf(mcpkit.Denied, "registry %s wants its credentials sent to %s for a token. Nothing was sent; if that host is right, a person must start the server with --token-hosts=%s", v.home.Host, req.URL.Host, req.URL.Host)
	}
	return v.away.RoundTrip(req)
}

// sameOrigin reports whether two URLs have the same scheme, host and port.
func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	if u.Port() != "" {
		return u.Port()
	}
	return map[string]string{"http": "80", "https": "443"}[u.Scheme]
}

// body is an answer of a chart repository.
type body struct {
	data   []byte
	header http.Header
	same   bool // the one we have is still right
}

// get reads the whole answer to a GET, at most max bytes of it.
func (v *visitor) get(ctx context.Context, address, what string, known http.Header, max int64) (body, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return body{}, mcpkit.Errorf(mcpkit.Unavailable, "the address of %s is none", what)
	}
	for name, values := range known {
		req.Header[name] = values
	}
	res, err := v.http().Do(req)
	if err != nil {
		return body{}, v.failed(ctx, err, what)
	}
	defer res.Body.Close()
	if res.StatusCode == http.StatusNotModified && len(known) > 0 {
		return body{header: res.Header, same: true}, nil
	}
	if res.StatusCode != http.StatusOK {
		return body{}, v.refused(res.StatusCode, res.Request.URL, what)
	}
	data, err := readAtMost(res.Body, res.ContentLength, max, what)
	if err != nil {
		return body{}, v.failed(ctx, err, what)
	}
	return body{data: data, header: res.Header}, nil
}

// readAtMost reads all of r, which says how many bytes that will be; -1 if it
// does not know.
func readAtMost(r io.Reader, said, max int64, what string) ([]byte, error) {
	if said > max {
		return nil, tooLong(what, max)
	}
	var data bytes.Buffer
	if said > 0 {
		data.Grow(int(said) + bytes.MinRead) // without this, growing takes three times as much
	}
	_, err := data.ReadFrom(io.LimitReader(r, max+1))
	if err == nil && int64(data.Len()) > max {
		return nil, tooLong(what, max)
	}
	return data.Bytes(), err
}

func tooLong(what string, max int64) error {
	return mcpkit.Errorf(mcpkit.TooLarge, "%s has more than the %d MiB this server reads", what, max>>20)
}

// failed classes what went wrong on the way, without the URL, whose query may
// be a credential.
func (v *visitor) failed(ctx context.Context, err error, what string) error {
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		return known
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return mcpkit.Errorf(mcpkit.Unavailable, "%s did not send %s in time", v.r, what)
	}
	cause := err
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		cause = wrapped.Err
	}
	return &mcpkit.Error{Kind: mcpkit.Unavailable, Text: fmt.Sprintf("cannot get %s of %s: %v", what, v.r, cause), Err: err}
}

// refused classes a status other than success, of whoever answered in the end.
func (v *visitor) refused(status int, at *url.URL, what string) error {
	said := fmt.Sprintf("%s answers %d %s", at.Host, status, http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized && v.r.Username == "":
		return mcpkit.Errorf(mcpkit.Denied, "%s to the request for %s of repository %q, for which no user is configured. A person must set username and password for it in the repositories file", said, what, v.r.Name)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return mcpkit.Errorf(mcpkit.Denied, "%s to the request for %s of repository %q. A person must correct its username and password in the repositories file, or grant that user access", said, what, v.r.Name)
	case status == http.StatusNotFound || status == http.StatusGone:
		return mcpkit.Errorf(mcpkit.NotFound, "%s has no %s (%s)", v.r, what, said)
	}
	return mcpkit.Errorf(mcpkit.Unavailable, "cannot get %s of %s: %s", what, v.r, said)
}
