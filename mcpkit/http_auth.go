package mcpkit

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// verifiedKey is where a request's context keeps its verified caller on the way
// to the protocol library, which takes it from there.
type verifiedKey struct{}

// errNoToken is the answer to a client that may not know yet that it needs one.
var errNoToken = Errorf(Denied, "this server needs a bearer token, in the header Authorization")

// authenticated lets requests through whose bearer token proves a caller. Every
// request needs one: what exists here is for callers to know. The challenge says
// how to get one.
func (s *Server) authenticated(challenge string, next http.Handler) http.Handler {
	if s.Authenticator == nil {
		return next
	}
	known := auth.RequireBearerToken(func(ctx context.Context, _ string, _ *http.Request) (*auth.TokenInfo, error) {
		caller := ctx.Value(verifiedKey{}).(Caller)
		return &auth.TokenInfo{UserID: caller.Name, Expiration: caller.Expires, Extra: map[string]any{tokenCaller: caller}}, nil
	}, nil)(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, err := s.callerBehind(r)
		if err != nil {
			if r.Context().Err() == nil { // somebody waits for the answer
				s.turnAway(w, challenge, err)
			}
			return
		}
		known.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), verifiedKey{}, caller)))
	})
}

// What one caller's requests may take of the memory.
const (
	heldRequests = 8        // of the largest that are allowed, under way at once
	leastHeld    = 64 << 10 // bytes that any takes, a stream without an end too
)

// bounded keeps one caller from filling the memory with its requests.
func (s *Server) bounded(maxBytes int64, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, known := r.Context().Value(verifiedKey{}).(Caller)
		if !known {
			next.ServeHTTP(w, r)
			return
		}
		n := maxBytes
		if r.ContentLength >= 0 {
			n = min(n, max(r.ContentLength, leastHeld))
		}
		if err := s.shares.hold(caller.Name, n, heldRequests*maxBytes, s.Now()); err != nil {
			w.Header().Set("Connection", "close")
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusTooManyRequests)
			return
		}
		defer s.shares.letGo(caller.Name, n)
		next.ServeHTTP(w, r)
	})
}

// maxTokenBytes is more than any token takes that an issuer means well.
const maxTokenBytes = 32 << 10

// callerBehind finds out who sends r. A second header could name somebody else
// to whatever stands between the client and here.
func (s *Server) callerBehind(r *http.Request) (Caller, error) {
	given := r.Header.Values("Authorization")
	if len(given) > 1 {
		return Caller{}, Errorf(Denied, "the request has %d Authorization headers; send one", len(given))
	}
	scheme, token, _ := strings.Cut(strings.Join(given, ""), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "bearer") || token == "" || strings.ContainsAny(token, " \t") {
		return Caller{}, errNoToken
	}
	if len(token) > maxTokenBytes {
		return Caller{}, Errorf(Denied, "the token takes %d bytes, more than the %d a token may", len(token), maxTokenBytes)
	}
	caller, err := s.Authenticator.Authenticate(r.Context(), token)
	if err == nil && !caller.Expires.After(s.Now()) {
		err = Errorf(Denied, "the token has expired; send a new one")
	}
	return caller, err
}

// retryAfter is how long a client should wait that could not be authenticated,
// in seconds.
const retryAfter = "2"

// turnAway answers a request whose caller is not known (RFC 6750, section 3),
// without listening to the rest of it.
func (s *Server) turnAway(w http.ResponseWriter, challenge string, err error) {
	s.logCause("a request is turned away", err)
	w.Header().Set("Connection", "close")
	var known *Error
	if !errors.As(err, &known) {
		known = Errorf(Unavailable, "the caller cannot be authenticated; see the server log")
	}
	if known.Kind != Denied {
		w.Header().Set("Retry-After", retryAfter)
		http.Error(w, known.Text, http.StatusServiceUnavailable)
		return
	}
	if known != errNoToken {
		challenge += `, error="invalid_token"`
	}
	w.Header().Set("WWW-Authenticate", challenge)
	http.Error(w, known.Text, http.StatusUnauthorized)
}
