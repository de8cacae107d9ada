package toolbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// maxAnswer bounds one answer of a server, or one event of a stream, in bytes.
const maxAnswer = 16 << 20

const dialTimeout = 10 * time.Second

// place is one host that is sent our credentials, and no other.
type place struct {
	namespace, name string // whose token is sent
	url             *url.URL
	headers         []kagent.ValueRef // the later ones win
	secrets         declared.Secrets
	tls             *kagent.TLSConfig
}

// wire carries requests to one place. It adds what the place demands to each,
// read anew each time, and refuses to go anywhere else, whoever says so: a
// redirect, or a server that names another address for its messages.
type wire struct {
	place
	life    context.Context // requests end with it
	base    *http.Transport
	quiet   time.Duration // that a stream may take to begin; without bound if 0
	keepOn  bool          // sessions are not ended at the server
	maxBody int64         // of an answer that is no stream of events

	mu     sync.Mutex
	hidden []string // values that were sent and must not come back in a text
	status int      // of the last answer
	astray bool     // we were sent elsewhere
}

// newWire prepares the way to p. The error says what of p's secrets is missing.
func newWire(life context.Context, p place) (*wire, error) {
	trust, err := p.trust()
	if err != nil {
		return nil, err
	}
	w := &wire{place: p, life: life, maxBody: maxAnswer, base: &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:        trust,
		TLSHandshakeTimeout:    dialTimeout,
		ForceAttemptHTTP2:      true,
		IdleConnTimeout:        90 * time.Second,
		MaxIdleConnsPerHost:    8,
		MaxResponseHeaderBytes: 256 << 10,
	}}
	w.hide(p.url.RawQuery)
	for _, values := range p.url.Query() {
		for _, value := range values {
			w.hide(value)
		}
	}
	return w, nil
}

func (w *wire) client() *http.Client { return &http.Client{Transport: w} }

// trust is whom connections to the place trust.
func (p place) trust() (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if p.tls == nil {
		return c, nil
	}
	c.InsecureSkipVerify = p.tls.DisableVerify
	if p.tls.CACertSecretRef == "" {
		return c, nil
	}
	pem, err := p.secrets.Secret(p.tls.CACertSecretRef, p.tls.CACertSecretKey)
	if err != nil {
		return nil, fmt.Errorf("read the authority of spec.tls: %w", err)
	}
	c.RootCAs = x509.NewCertPool()
	if !p.tls.DisableSystemCAs {
		if system, err := x509.SystemCertPool(); err == nil {
			c.RootCAs = system
		}
	}
	if !c.RootCAs.AppendCertsFromPEM([]byte(pem)) {
		return nil, fmt.Errorf("key %s of Secret %s, see spec.tls, holds no certificate in PEM", p.tls.CACertSecretKey, p.tls.CACertSecretRef)
	}
	return c, nil
}

// errElsewhere is why a request was not sent.
var errElsewhere = errors.New("the server sends us to another address, where our credentials do not go; if that is right, set spec.url to it")

// trip is what became of the latest request that was sent for a call.
type trip struct {
	mu      sync.Mutex
	sent    bool // something may have arrived
	refused int  // the status by which the server turned the request away, unread
}

type tripKey struct{}

// RoundTrip implements [http.RoundTripper].
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	if !sameHost(r.URL, w.url) {
		w.mu.Lock()
		w.astray = true
		w.mu.Unlock()
		return nil, errElsewhere
	}
	if w.keepOn && r.Method == http.MethodDelete {
		return &http.Response{StatusCode: http.StatusNoContent, Status: "204 No Content", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(w.life, cancel)
	end := func() { stop(); cancel() }
	t, _ := ctx.Value(tripKey{}).(*trip)
	r = r.Clone(t.follow(ctx))
	if err := w.dress(r); err != nil {
		end()
		return nil, err
	}
	resp, err := w.send(r, cancel)
	if err != nil {
		end()
		return nil, err
	}
	w.note(resp.StatusCode)
	t.note(r, resp.StatusCode)
	limit := w.maxBody
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		limit = 0 // each event is bounded by who reads it
	}
	resp.Body = &body{ReadCloser: resp.Body, left: limit, bounded: limit > 0, end: end}
	return resp, nil
}

// send sends r. Some servers answer a request for a stream only with its first
// event; such a stream is taken for one that the server does not have.
func (w *wire) send(r *http.Request, cancel func()) (*http.Response, error) {
	if w.quiet == 0 || r.Method != http.MethodGet {
		return w.base.RoundTrip(r)
	}
	late := time.AfterFunc(w.quiet, cancel)
	resp, err := w.base.RoundTrip(r)
	if late.Stop() || err == nil {
		return resp, err
	}
	return &http.Response{StatusCode: http.StatusMethodNotAllowed, Status: "405 Method Not Allowed", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
}

// dress adds the headers of the place and its token, if the headers do not hold
// one.
func (w *wire) dress(r *http.Request) error {
	for _, h := range w.headers {
		value := ""
		switch {
		case h.Value != nil: // whoever may read the object knows it
			value = *h.Value
		case h.ValueFrom != nil && h.ValueFrom.Type == kagent.SecretValueSource:
			secret, err := w.secrets.Secret(h.ValueFrom.Name, h.ValueFrom.Key)
			if err != nil {
				return fmt.Errorf("read the value of header %s: %w", h.Name, err)
			}
			value = secret
			w.hide(strings.TrimSpace(value))
		default:
			return fmt.Errorf("header %s has no value", h.Name)
		}
		r.Header.Set(h.Name, strings.TrimSpace(value))
	}
	if r.Header.Get("Authorization") != "" || w.secrets == nil {
		return nil
	}
	token, err := w.secrets.Token(w.namespace, w.name)
	if token = strings.TrimSpace(token); err != nil || token == "" {
		return err
	}
	w.hide(token)
	r.Header.Set("Authorization", "Bearer "+token)
	return nil
}

const (
	leastHidden = 6  // bytes of a value that is worth hiding
	mostHidden  = 64 // values that are remembered
)

// hide remembers a value that was sent, and what of it is the credential.
func (w *wire) hide(value string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	parts := append(strings.Fields(value), value)
	for _, part := range parts {
		if len(part) >= leastHidden && !slices.Contains(w.hidden, part) && !strings.EqualFold(part, "bearer") {
			w.hidden = append(w.hidden, part)
		}
	}
	w.hidden = w.hidden[max(0, len(w.hidden)-mostHidden):]
}

// shown is text without what was sent as a credential.
func (w *wire) shown(text string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, value := range w.hidden {
		text = strings.ReplaceAll(text, value, "«hidden»")
	}
	return text
}

func (w *wire) note(status int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.status = status
}

// answered is the status of the last answer, 0 if there was none.
func (w *wire) answered() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status
}

// ledAstray reports whether the server has sent us elsewhere.
func (w *wire) ledAstray() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.astray
}

// follow lets t know when a request goes out.
func (t *trip) follow(ctx context.Context) context.Context {
	if t == nil {
		return ctx
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.sent, t.refused = true, 0
	}})
}

// note remembers that a server did not look at a request: it did not know who
// asks, for what session, or had no time.
func (t *trip) note(r *http.Request, status int) {
	if t == nil || r.Method != http.MethodPost {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if status >= 400 && status < 500 && status != http.StatusRequestTimeout {
		t.refused = status
	}
}

// harmless reports whether nothing can have come of the request.
func (t *trip) harmless() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.sent || t.refused != 0
}

// body is an answer within bounds, which gives back what its request holds.
type body struct {
	io.ReadCloser
	left    int64
	bounded bool
	end     func()
}

// errTooLong is why an answer was not read to its end.
var errTooLong = fmt.Errorf("the answer takes more than %d MiB", maxAnswer>>20)

func (b *body) Read(p []byte) (int, error) {
	if !b.bounded {
		return b.ReadCloser.Read(p)
	}
	if b.left < 0 {
		return 0, errTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left+1)])
	if b.left -= int64(n); b.left < 0 {
		return 0, errTooLong
	}
	return n, err
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.end()
	return err
}

// sameHost reports whether two URLs lead to the same host by the same scheme.
func sameHost(a, b *url.URL) bool {
	port := func(u *url.URL) string {
		if u.Port() == "" {
			return map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		return u.Port()
	}
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}
