package mcpkit

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// resourcePath is where a server describes itself to clients that have no token
// yet (RFC 9728, section 3).
const resourcePath = "/.well-known/oauth-protected-resource"

// describe serves the metadata wherever clients look for it: at the root, and
// below it with the path of the resource. Everybody may read it, from any page:
// it says where to log in.
func describe(mux *http.ServeMux, g *guard, m *oauthex.ProtectedResourceMetadata) {
	if m == nil {
		return
	}
	serve := g.hosted(anyOrigin(auth.ProtectedResourceMetadataHandler(m)))
	mux.Handle(resourcePath, serve)
	mux.Handle(resourcePath+"/", serve)
}

// anyOrigin tells a browser that every page may read what next says, whatever
// headers the page's MCP client sends along.
func anyOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodOptions {
			allowOrigin(w.Header(), "*")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// challenge tells a client without a good token how to get one (RFC 6750,
// section 3, and RFC 9728, section 5.1).
func (s *Server) challenge(m *oauthex.ProtectedResourceMetadata) (string, error) {
	out := fmt.Sprintf("Bearer realm=%q", s.Name)
	if m == nil {
		return out, nil
	}
	u, err := url.Parse(m.Resource)
	if err != nil {
		return "", usagef("--resource-url: %w", err)
	}
	u.Path, u.RawPath = resourcePath+strings.TrimSuffix(u.Path, "/"), ""
	return fmt.Sprintf("%s, resource_metadata=%q", out, u), nil
}
