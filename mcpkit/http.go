package mcpkit

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// HTTPOptions configure a [Handler]. The zero value of a field takes the
// default named beside it.
type HTTPOptions struct {
	AllowedHosts    []string      // names clients use besides loopback ones, * for any; none
	AllowedOrigins  []string      // of web pages that may call, scheme and host; none
	MaxRequestBytes int64         // of one request; DefaultMaxRequestBytes
	SessionTimeout  time.Duration // of an idle session of an older client; DefaultSessionTimeout

	ResourceMetadata *oauthex.ProtectedResourceMetadata // by which clients learn where to log in (RFC 9728); none
}

func (o HTTPOptions) withDefaults() HTTPOptions {
	if o.MaxRequestBytes <= 0 {
		o.MaxRequestBytes = DefaultMaxRequestBytes
	}
	if o.SessionTimeout <= 0 {
		o.SessionTimeout = DefaultSessionTimeout
	}
	return o
}

// Handler serves a [Server] over streamable HTTP at /mcp, and says at /healthz
// and /readyz whether the process lives and takes calls. Neither asks the
// backend: a server whose backend is down still answers, saying so.
type Handler struct {
	http.Handler

	mu       sync.Mutex
	leaving  bool
	calls    int // requests that will end of themselves
	draining bool
	over     context.Context // done once draining and no call is left
	end      context.CancelFunc
}

// statelessVersion is the first protocol version without sessions.
const statelessVersion = "2026-07-28"

// HTTP returns the handler for s. It fails on an origin or a resource that is
// none.
func (s *Server) HTTP(o HTTPOptions) (*Handler, error) {
	guard, err := newGuard(o)
	if err != nil {
		return nil, err
	}
	challenge, err := s.challenge(o.ResourceMetadata)
	if err != nil {
		return nil, err
	}
	o = o.withDefaults()
	h := &Handler{}
	h.over, h.end = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", h.ready)
	calls := readBody(o.MaxRequestBytes, h.count(s.followClient(s.streamable(o))))
	mux.Handle("/mcp", guard.wrap(s.authenticated(challenge, s.bounded(o.MaxRequestBytes, calls))))
	describe(mux, guard, o.ResourceMetadata)
	h.Handler = soon(h.parting(mux))
	return h, nil
}

// Drain does what Leave does, and lets the streams on which clients only listen
// end once the last call has. Not before: a client that loses its stream may
// give up its calls.
func (h *Handler) Drain() { h.change(func() { h.leaving, h.draining = true, true }) }

func (h *Handler) change(do func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	do()
	if h.draining && h.calls == 0 {
		h.end()
	}
}

func (h *Handler) ready(w http.ResponseWriter, _ *http.Request) {
	if h.isLeaving() {
		http.Error(w, "shutting down", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}

// count tells calls from streams, which stay open for as long as the client
// likes.
func (h *Handler) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet || r.Header.Get("Mcp-Method") == "subscriptions/listen" {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			defer context.AfterFunc(h.over, cancel)()
			next.ServeHTTP(w, r.WithContext(ctx))
			return
		}
		h.change(func() { h.calls++ })
		defer h.change(func() { h.calls-- })
		next.ServeHTTP(w, r)
	})
}

// streamable is the SDK's handler. It is stateless, so that any replica answers
// any request, but for older clients of a server that asks before it writes:
// the SDK can put a question to them within a session alone
// (docs/decisions/001-sessions-for-older-clients.md).
func (s *Server) streamable(o HTTPOptions) http.Handler {
	options := mcp.StreamableHTTPOptions{
		Stateless:                    true,
		Logger:                       quiet(s.Logger),
		MaxRequestBodyBytes:          -1, // readBody has seen to it
		PropagateRequestCancellation: true,
		SessionTimeout:               o.SessionTimeout,
		DisableLocalhostProtection:   true, // the guard checks hosts, and knows the allowed ones
	}
	server := func(*http.Request) *mcp.Server { return s.mcp }
	stateless := mcp.NewStreamableHTTPHandler(server, &options)
	if s.Gate != GateAsk || s.Access == AccessRead {
		return stateless
	}
	withSessions := options
	withSessions.Stateless = false
	stateful := mcp.NewStreamableHTTPHandler(server, &withSessions)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Mcp-Protocol-Version") >= statelessVersion {
			stateless.ServeHTTP(w, r)
			return
		}
		stateful.ServeHTTP(w, r)
	})
}

// bodyTimeout is how long a client may take to send a request.
const bodyTimeout = 30 * time.Second

// soon bounds the time in which a request must have come in, also one that is
// refused: before it answers, Go's server reads what is left of the body. A
// timeout on the server would end slow answers as well.
func soon(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout)) // not every writer in tests has one
		next.ServeHTTP(w, r)
	})
}

// readBody takes a request in whole before anything else begins, within a size.
func readBody(max int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, max))
		_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // it is all here
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			http.Error(w, fmt.Sprintf("the request takes more than %d bytes; see --max-request-bytes", max), http.StatusRequestEntityTooLarge)
			return
		}
		if err != nil {
			http.Error(w, "the request ended early", http.StatusBadRequest)
			return
		}
		if err := checkBatch(body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// maxBatch is how many messages one request may hold: some ten thousand fit into
// its bytes, and would keep the server busy for half a minute. Protocols after
// 2025-03-26 send one.
const maxBatch = 50

func checkBatch(body []byte) error {
	if !bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("[")) {
		return nil
	}
	var messages []json.RawMessage
	if err := json.Unmarshal(body, &messages); err != nil {
		return fmt.Errorf("the request is no JSON: %w", err)
	}
	if len(messages) > maxBatch {
		return fmt.Errorf("the request holds %d messages; send at most %d at once", len(messages), maxBatch)
	}
	return nil
}

// requestHeader carries the id of a request's context to the call it holds: the
// SDK hands handlers the headers, but within a session not the context.
const requestHeader = "Toolcrib-Request"

// followClient lets calls end when the client that made them goes away, in all
// versions of the protocol: without replay nobody could read the answer.
func (s *Server) followClient(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := rand.Text()
		s.requests.Store(id, r.Context())
		defer s.requests.Delete(id)
		r.Header.Set(requestHeader, id)
		next.ServeHTTP(w, r)
	})
}

// clientContext is the context of the HTTP request that carries the call, nil
// over stdio.
func (s *Server) clientContext(c *Call) context.Context {
	if c.req.Extra == nil || c.req.Extra.Header == nil {
		return nil
	}
	ctx, _ := s.requests.Load(c.req.Extra.Header.Get(requestHeader))
	client, _ := ctx.(context.Context)
	return client
}

// serveHTTP serves any number of clients until ctx is done, and then finishes
// the calls in flight for as long as the shutdown timeout allows.
func (s *Server) serveHTTP(ctx context.Context, f flags) error {
	handler, err := s.HTTP(HTTPOptions{f.allowedHosts, f.allowedOrigins, f.maxRequestBytes, f.sessionTimeout, f.resource(s.Name)})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.http)
	if err != nil {
		return fmt.Errorf("--http: %w", err)
	}
	stopMetrics, err := s.serveMetrics(f.metrics)
	if err != nil {
		listener.Close()
		return err
	}
	defer stopMetrics()
	s.Logger.Info("listening", "url", fmt.Sprintf("http://%s/mcp", listener.Addr()))
	server := newHTTPServer(handler, s.Logger)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve %s: %w", f.http, err)
	case <-ctx.Done():
	}
	return s.retire(server, handler, f)
}

// shutdown waits for the calls in flight; those that take longer than grace are
// cancelled.
func (s *Server) shutdown(server *http.Server, grace time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	err := server.Shutdown(ctx)
	if !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	s.Logger.Warn("some calls did not end in time and are cancelled")
	server.Close()
	s.settle()
	return nil
}

// settle gives cancelled calls the time to be recorded: whoever holds every
// slot knows that none is running.
func (s *Server) settle() {
	late := time.After(settleTime)
	for range cap(s.slots) {
		select {
		case s.slots <- struct{}{}:
		case <-late:
			return
		}
	}
}

func newHTTPServer(h http.Handler, log *slog.Logger) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	}
}
