package mcpkit

import (
	"net/http"
	"time"
)

// Leave makes the handler report itself not ready and end each connection with
// the answer that it gives next, so that clients move on to other replicas. It
// still answers whatever comes.
func (h *Handler) Leave() { h.change(func() { h.leaving = true }) }

func (h *Handler) isLeaving() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.leaving
}

// parting closes a connection once it is answered rather than when nothing
// seems to come: a client that sends just then would lose its call.
func (h *Handler) parting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(answer{w, h}, r)
	})
}

// answer decides at its first byte whether it is the last on its connection.
// Until then the protocol library would have connections kept.
type answer struct {
	http.ResponseWriter
	handler *Handler
}

// Unwrap is for http.ResponseController.
func (a answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a answer) WriteHeader(status int) {
	a.begin()
	a.ResponseWriter.WriteHeader(status)
}

func (a answer) Write(b []byte) (int, error) {
	a.begin()
	return a.ResponseWriter.Write(b)
}

// FlushError is for http.ResponseController: to flush is to begin as well.
func (a answer) FlushError() error {
	a.begin()
	return http.NewResponseController(a.ResponseWriter).Flush()
}

func (a answer) begin() {
	if a.handler.isLeaving() {
		a.Header().Set("Connection", "close")
	}
}

// retire ends the server without losing a call: first it waits until clients
// that were told of it have moved on.
func (s *Server) retire(server *http.Server, h *Handler, f flags) error {
	s.Logger.Info("shutting down", "delay", f.shutdownDelay, "timeout", f.shutdownTimeout)
	h.Leave()
	<-time.After(f.shutdownDelay)
	h.Drain()
	return s.shutdown(server, f.shutdownTimeout)
}
