package mcpkit

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
)

// verifiedKey is where a request's context keeps its verified caller on the way
// to the protocol library, which takes it from there.
type verifiedKey struct{}

// authenticated lets requests through whose bearer token proves a caller. Every
// request needs one: what exists here is for callers to know.
func (s *Server) authenticated(next http.Handler) http.Handler {
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
			s.turnAway(w, err)
			return
		}
		known.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), verifiedKey{}, caller)))
	})
}

func (s *Server) callerBehind(r *http.Request) (Caller, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token = strings.TrimSpace(token); !strings.EqualFold(scheme, "bearer") || token == "" {
		return Caller{}, Errorf(Denied, "this server needs a bearer token: Authorization: Bearer TOKEN")
	}
	caller, err := s.Authenticator.Authenticate(r.Context(), token)
	if err == nil && !caller.Expires.After(s.Now()) {
		err = Errorf(Denied, "the token has expired")
	}
	return caller, err
}

// turnAway answers a request whose caller is not known (RFC 6750, section 3).
func (s *Server) turnAway(w http.ResponseWriter, err error) {
	var known *Error
	if !errors.As(err, &known) {
		s.Logger.Error("a caller cannot be authenticated", "error", s.redactor.Text(err.Error()))
		http.Error(w, "the caller cannot be authenticated; see the server log", http.StatusServiceUnavailable)
		return
	}
	if known.Kind == Unavailable {
		s.Logger.Error("a caller cannot be authenticated", "error", s.redactor.Text(errors.Join(known, known.Err).Error()))
		w.Header().Set("Retry-After", "1")
		http.Error(w, known.Text, http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("WWW-Authenticate", fmt.Sprintf("Bearer error=%q", "invalid_token"))
	http.Error(w, known.Text, http.StatusUnauthorized)
}
