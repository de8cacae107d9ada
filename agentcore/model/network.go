package model

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"sync"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// Bounds of what is read of one answer, in bytes.
const (
	longestAnswer  = 32 << 20
	longestRefusal = 64 << 10
)

// network connects to a provider, and trusts whom the ModelConfig says.
type network struct {
	tls     *kagent.TLSConfig
	secrets Secrets

	mu      sync.Mutex
	trusted string // the certificates that transport was made with
	made    http.RoundTripper
}

// transport is made anew when the certificates have changed.
func (n *network) transport() (http.RoundTripper, error) {
	trusted := ""
	if n.tls != nil && n.tls.CACertSecretRef != "" {
		var err error
		if trusted, err = n.secrets.Secret(n.tls.CACertSecretRef, n.tls.CACertSecretKey); err != nil {
			return nil, fmt.Errorf("read the certificates of tls: %w", err)
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.made != nil && trusted == n.trusted {
		return n.made, nil
	}
	made := http.DefaultTransport.(*http.Transport).Clone()
	made.DisableCompression = true // compressed, a stream comes in lumps
	if n.tls != nil {
		pool, err := poolOf(trusted, n.tls.DisableSystemCAs)
		if err != nil {
			return nil, err
		}
		made.TLSClientConfig = &tls.Config{RootCAs: pool, InsecureSkipVerify: n.tls.DisableVerify}
	}
	if n.made != nil {
		(&http.Client{Transport: n.made}).CloseIdleConnections()
	}
	n.made, n.trusted = made, trusted
	return made, nil
}

func poolOf(certificates string, alone bool) (*x509.CertPool, error) {
	pool := x509.NewCertPool()
	if !alone {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("read the certificates of the system: %w", err)
		}
		pool = system
	}
	if certificates != "" && !pool.AppendCertsFromPEM([]byte(certificates)) {
		return nil, errors.New("the Secret of tls.caCertSecretRef holds no certificate in PEM")
	}
	return pool, nil
}

// client is for one try. It calls silent when nothing was heard for that long,
// until done is called.
func (n *network) client(silence time.Duration, silent func()) (c *http.Client, done func(), err error) {
	base, err := n.transport()
	if err != nil {
		return nil, nil, err
	}
	timer := time.AfterFunc(silence, silent)
	return &http.Client{
		Transport: &listener{base: base, heard: func() { timer.Reset(silence) }},
		// A redirect would take the key, and everything that was read, elsewhere.
		CheckRedirect: func(r *http.Request, _ []*http.Request) error {
			return &Error{Kind: Invalid, Text: "the provider redirects to " + r.URL.Scheme + "://" + r.URL.Host + ": give the ModelConfig the URL where it is"}
		},
	}, func() { timer.Stop() }, nil
}

// listener notices each sign of life, and turns what is no stream into an
// Error.
type listener struct {
	base  http.RoundTripper
	heard func()
}

// RoundTrip implements [http.RoundTripper].
func (l *listener) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := l.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	l.heard()
	response.Body = &body{ReadCloser: response.Body, heard: l.heard, left: longestAnswer}
	if kind := kindOf(response); response.StatusCode >= 400 || response.StatusCode < 300 && (kind == "application/json" || kind == "text/html") {
		defer response.Body.Close()
		text, err := io.ReadAll(io.LimitReader(response.Body, longestRefusal))
		if err != nil && len(text) == 0 && response.StatusCode < 400 {
			return nil, err
		}
		return nil, refusal(response.StatusCode, response.Header, text)
	}
	return response, nil
}

func kindOf(r *http.Response) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // none, if it cannot be read
	return kind
}

// body is an answer's, which is not read without end.
type body struct {
	io.ReadCloser
	heard func()
	left  int
}

// Read implements [io.Reader].
func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if n > 0 {
		b.heard()
	}
	if b.left -= n; b.left < 0 {
		return 0, &Error{Kind: Invalid, Text: fmt.Sprintf("the answer is longer than %d MiB", longestAnswer>>20)}
	}
	return n, err
}
