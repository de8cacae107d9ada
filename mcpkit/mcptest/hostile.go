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

// hostile are texts that lead elsewhere once they are pasted into something, by
// what that is. HERE stands for an address that nobody may connect to.
var hostile = map[string][]string{
	"path": {
		"..", "../../../../api/v1/secrets", "..%2f..%2f..%2fapi%2fv1%2fsecrets", "%2e%2e/%2e%2e/secrets", "secrets/vault", "/etc/passwd", "file:///etc/passwd",
	},
	"URL":          {"http://HERE/", "https://HERE/x.tgz", "//HERE/x", "oci://HERE/x", "x@HERE", "HERE"},
	"header":       {"x\r\nHost: HERE\r\nX: y", "x\x00y"},
	"command line": {"--kubeconfig=/etc/passwd", "-oyaml", "x;id|id&&id"},
	"template":     {"x?watch=true&fieldSelector=a#b", `{{ .Files.Get "/etc/passwd" }}${jndi:ldap://HERE/x}$(id)` + "`id`"},
}

// Hostile calls the tools that the server lists with hostile texts in their free
// strings, the other arguments from base, and hands out what came back. Whatever
// it is, the tool must have an answer of its own. Each argument of each tool meets
// texts of every sort; tools that have an argument of the same name in common,
// which the server reads alike, share out the texts of each sort between them.
func (s *Session) Hostile(canary string, base map[string]map[string]any, check func(tool, argument, text string, a Answer)) {
	s.t.Helper()
	free := map[string][]string{} // tools by the name of an argument
	takes := map[string]*jsonschema.Schema{}
	for _, tool := range s.tools() {
		for name, p := range schemaOf(tool.InputSchema).Properties {
			if taking(p, "") != nil {
				free[name] = append(free[name], tool.Name)
				takes[tool.Name+" "+name] = p
			}
		}
	}
	for name, tools := range free {
		for i, tool := range tools {
			for _, texts := range hostile {
				for j, text := range texts {
					if j%len(tools) != i%len(texts) { // each has its share, and none goes without
						continue
					}
					text = strings.ReplaceAll(text, "HERE", canary)
					s.tempt(tool, name, text, taking(takes[tool+" "+name], text), base[tool], check)
				}
			}
		}
	}
}

// tempt calls a tool with a hostile value of one argument.
func (s *Session) tempt(tool, name, text string, value any, base map[string]any, check func(tool, argument, text string, a Answer)) {
	s.t.Helper()
	args := map[string]any{name: value}
	for other, v := range base {
		if other != name {
			args[other] = v
		}
	}
	a := s.Call(tool, args)
	if strings.Contains(a.Text, "internal: ") || strings.Contains(a.Text, "root:x:0:0") {
		s.t.Errorf("%s %s=%q: %s", tool, name, text, a.Text)
	}
	check(tool, name, text, a)
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
