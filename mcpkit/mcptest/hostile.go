package mcptest

import (
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/require"
)

// Canary listens on loopback until the end of the test, which fails when
// anybody has connected. It returns the address.
func Canary(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var connected atomic.Int32
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			connected.Add(1)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		listener.Close()
		<-done
		require.Zero(t, connected.Load(), "connections to where an argument pointed")
	})
	return listener.Addr().String()
}

// hostile are texts that lead elsewhere once they are pasted into a path, a URL,
// a header, a command line or a template. HERE stands for an address that nobody
// may connect to.
var hostile = []string{
	"..", "../../../../api/v1/secrets", "..%2f..%2f..%2fapi%2fv1%2fsecrets", "%2e%2e/%2e%2e/secrets", "secrets/vault", "/etc/passwd", "file:///etc/passwd",
	"http://HERE/", "https://HERE/x.tgz", "//HERE/x", "oci://HERE/x", "x@HERE", "HERE",
	"x\r\nHost: HERE\r\nX: y", "x\x00y", "--kubeconfig=/etc/passwd", "-oyaml",
	"x?watch=true&fieldSelector=a#b", "x;id|id&&id", `{{ .Files.Get "/etc/passwd" }}${jndi:ldap://HERE/x}$(id)` + "`id`",
}

// Hostile calls every tool that the server lists once for each of its free
// strings and each hostile text, with the other arguments from base, and hands
// out what came back. Whatever it is, the tool must have an answer of its own.
func (s *Session) Hostile(canary string, base map[string]map[string]any, check func(tool, argument, text string, a Answer)) {
	s.t.Helper()
	for _, tool := range s.tools() {
		schema := schemaOf(tool.InputSchema)
		for name, p := range schema.Properties {
			for _, text := range hostile {
				text = strings.ReplaceAll(text, "HERE", canary)
				value := taking(p, text)
				if value == nil {
					break
				}
				args := map[string]any{name: value}
				for other, v := range base[tool.Name] {
					if other != name {
						args[other] = v
					}
				}
				a := s.Call(tool.Name, args)
				if strings.Contains(a.Text, "internal: ") || strings.Contains(a.Text, "root:x:0:0") {
					s.t.Errorf("%s %s=%q: %s", tool.Name, name, text, a.Text)
				}
				check(tool.Name, name, text, a)
			}
		}
	}
}

// taking is a value of p's type that holds text, nil if none can.
func taking(p *jsonschema.Schema, text string) any {
	for _, form := range append([]*jsonschema.Schema{p}, p.AnyOf...) {
		switch {
		case len(form.Enum) > 0:
			return nil
		case form.Type == "array":
			return []any{text}
		case form.Type == "object":
			return map[string]any{"x": text}
		case form.Type == "string" && !slices.Contains([]string{"date-time"}, form.Format):
			return text
		}
	}
	return nil
}
