package remotemcpserver

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/toolcrib/toolcrib/controller/outcome"
)

// mostBytes is how much one server may send in one discovery.
const mostBytes = 16 << 20

// hands are the controller's in one discovery: every request goes through them.
type hands struct {
	way    *way
	base   *http.Transport
	status atomic.Int32 // of the last answer that was a refusal
	left   atomic.Int64
	over   context.Context
	end    context.CancelFunc
}

func newHands(ctx context.Context, w *way) *hands {
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.TLSClientConfig = w.tls
	base.ResponseHeaderTimeout = w.timeout
	h := &hands{way: w, base: base}
	h.over, h.end = context.WithCancel(ctx)
	h.left.Store(mostBytes)
	return h
}

// close ends what is still under way: sessions outlive the contexts that they
// were opened with.
func (h *hands) close() {
	h.end()
	h.base.CloseIdleConnections()
}

func (h *hands) transport() mcp.Transport {
	client := &http.Client{Transport: h, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // headers are for the server that was named
	}}
	if h.way.sse {
		return &mcp.SSEClientTransport{Endpoint: h.way.url, HTTPClient: client, MaxEventSize: mostBytes}
	}
	return &mcp.StreamableClientTransport{Endpoint: h.way.url, HTTPClient: client, MaxRetries: -1, DisableStandaloneSSE: true, MaxEventSize: mostBytes}
}

// RoundTrip implements http.RoundTripper.
func (h *hands) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method == http.MethodDelete && !h.way.terminate {
		return &http.Response{StatusCode: http.StatusNoContent, Header: http.Header{}, Body: http.NoBody, Request: request}, nil
	}
	ctx, cancel := context.WithCancel(request.Context())
	context.AfterFunc(h.over, cancel)
	request = request.Clone(ctx)
	for name, values := range h.way.header {
		request.Header[name] = values
	}
	response, err := h.base.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= 300 && request.Method != http.MethodDelete {
		h.status.Store(int32(response.StatusCode))
	}
	response.Body = &boundedBody{response.Body, &h.left}
	return response, nil
}

type boundedBody struct {
	io.ReadCloser
	left *atomic.Int64
}

var errTooMuch = errors.New("the server sent too much")

func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left.Add(-int64(n)) < 0 {
		return n, errTooMuch
	}
	return n, err
}

// explain says why a discovery failed, in words of ours alone: what a server
// says may repeat the headers it was sent, and what a connection says differs
// from time to time.
func (h *hands) explain(ctx context.Context, err error) error {
	var e struct {
		dns     *net.DNSError
		errno   syscall.Errno
		cert    *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		timeout net.Error
	}
	status := int(h.status.Load())
	switch {
	case h.left.Load() < 0:
		return unreachable("TooLarge", "the server sent more than %d MiB", mostBytes>>20)
	case ctx.Err() != nil || errors.As(err, &e.timeout) && e.timeout.Timeout():
		return unreachable("Timeout", "the server did not answer within %s; see whether it runs, or raise spec.timeout", h.way.timeout.Round(time.Millisecond))
	case errors.As(err, &e.dns):
		return unreachable("Unreachable", "the name %s is not known; see spec.url", e.dns.Name)
	case errors.As(err, &e.cert):
		return unreachable("CertificateInvalid", "the server's certificate is not trusted; see spec.tls")
	case errors.As(err, &e.record):
		return unreachable("Unreachable", "the server does not speak TLS; see spec.url and spec.tls")
	case errors.As(err, &e.errno):
		return unreachable("Unreachable", "%s; see spec.url and whether the server runs", e.errno)
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return unreachable("Refused", "the server refused the controller: %d %s; see spec.headersFrom and annotation toolcrib.dev/audience", status, http.StatusText(status))
	case status >= 300 && status < 400:
		return unreachable("Redirected", "the server sent the controller elsewhere (%d), where it does not follow; write the right spec.url", status)
	case status != 0:
		return unreachable("Unreachable", "the server answered %d %s; see spec.url, which ends in /mcp or /sse mostly", status, http.StatusText(status))
	default:
		return unreachable("NotMCP", "what answers does not speak MCP as spec.protocol says; see spec.url and spec.protocol")
	}
}

// unreachable is an error after which the server is asked again.
func unreachable(reason, format string, args ...any) error {
	return outcome.Waiting(firstWait, reason, format, args...)
}
