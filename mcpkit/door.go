package mcpkit

import (
	"context"
	"net/http"
)

// Door is what stands between the network and a server of another protocol than
// MCP's: the name it is called by, where the request comes from, who sends it,
// how often, and how large it is. Of o it heeds Name, Logger, Authenticator and
// how much one caller may take; without an Authenticator everybody is let in.
// It fails on an origin that is none.
func Door(o Options, h HTTPOptions, next http.Handler) (http.Handler, error) {
	s := NewServer(NewToolset(), o)
	guard, err := newGuard(h)
	if err != nil {
		return nil, err
	}
	challenge, err := s.challenge(h.ResourceMetadata)
	if err != nil {
		return nil, err
	}
	h = h.withDefaults()
	return soon(guard.wrap(s.authenticated(challenge, s.paced(s.bounded(h.MaxRequestBytes, readBody(h.MaxRequestBytes, next)))))), nil
}

// CallerFrom is who sent the request of ctx, behind a [Door]; false if nobody
// was asked to say.
func CallerFrom(ctx context.Context) (Caller, bool) {
	caller, known := ctx.Value(verifiedKey{}).(Caller)
	return caller, known
}

// paced holds a caller to its rate.
func (s *Server) paced(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if caller, known := CallerFrom(r.Context()); known {
			if err := s.shares.pace(caller.Name, s.Now()); err != nil {
				w.Header().Set("Retry-After", "1")
				http.Error(w, err.Error(), http.StatusTooManyRequests)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
