package mcpkit

import (
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
)

// guard refuses requests that a web page could have made a browser send: the
// Host must be a name this server goes by, which defeats DNS rebinding, and the
// Origin its own or an allowed one.
type guard struct {
	hosts   []string
	trusted []string // origins
	origins *http.CrossOriginProtection
}

func newGuard(o HTTPOptions) (*guard, error) {
	g := &guard{trusted: o.AllowedOrigins, origins: http.NewCrossOriginProtection()}
	for _, h := range o.AllowedHosts {
		g.hosts = append(g.hosts, strings.ToLower(strings.TrimSuffix(h, ".")))
	}
	for _, origin := range o.AllowedOrigins {
		if err := g.origins.AddTrustedOrigin(origin); err != nil {
			return nil, usagef("--allowed-origins: %w; write scheme and host, such as https://inspector.example.com", err)
		}
	}
	return g, nil
}

func (g *guard) wrap(next http.Handler) http.Handler {
	return g.hosted(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked := *r
		asked.Method = http.MethodPost // a GET opens a stream here, so no method is harmless
		if err := g.origins.Check(&asked); err != nil {
			http.Error(w, fmt.Sprintf("%v; see --allowed-origins", err), http.StatusForbidden)
			return
		}
		if origin := r.Header.Get("Origin"); slices.Contains(g.trusted, origin) {
			allowOrigin(w.Header(), origin)
			if r.Method == http.MethodOptions {
				w.WriteHeader(http.StatusNoContent)
				return
			}
		}
		next.ServeHTTP(w, r)
	}))
}

// hosted refuses requests for a host this server does not go by.
func (g *guard) hosted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.knows(r.Host) {
			http.Error(w, fmt.Sprintf("host %q is not one this server goes by; see --allowed-hosts", r.Host), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowOrigin tells a browser that pages of origin may call (CORS).
func allowOrigin(h http.Header, origin string) {
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Allow-Methods", "GET, POST, DELETE")
	h.Set("Access-Control-Allow-Headers", "*, Authorization")
	h.Set("Access-Control-Expose-Headers", "Mcp-Session-Id, WWW-Authenticate")
	h.Set("Vary", "Origin")
}

// knows reports whether host, with or without a port, is a loopback name or an
// allowed one.
func (g *guard) knows(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.Trim(name, "[]"), "."))
	return isLoopback(name) || slices.Contains(g.hosts, "*") || slices.Contains(g.hosts, name) || slices.Contains(g.hosts, strings.ToLower(host))
}
