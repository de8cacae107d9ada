package prometheus

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// What stands before the backends may refuse, in words of its own: that is
// denied whatever it says, and never an empty answer.
func TestForbiddenStaysDenied(t *testing.T) {
	for name, body := range map[string]string{
		"a page":             "<html><body>403 Forbidden, ask ops-s3cret</body></html>",
		"an error of an API": `{"status": "error", "errorType": "forbidden", "error": "no, ops-s3cret"}`,
		"an answer":          `{"status": "success", "data": {"result": [], "alerts": [], "groups": []}}`,
		"nothing":            "",
	} {
		t.Run(name, func(t *testing.T) {
			kind := "text/html"
			if strings.HasPrefix(body, "{") {
				kind = "application/json"
			}
			refuse := func(w http.ResponseWriter, _ *http.Request, _ url.Values) bool {
				w.Header().Set("Content-Type", kind)
				w.WriteHeader(http.StatusForbidden)
				_, _ = w.Write([]byte(body)) // a client that is gone needs none
				return false
			}
			g := newGateway(t, refuse)
			g.Start()
			b := New(Config{Prometheus: Endpoint{URL: g.URL}, Alertmanager: Endpoint{URL: g.URL}})
			s := serve(t, b, mcpkit.AccessRead, nil)
			for tool, args := range stackReads {
				a := s.Call(tool, args)
				require.Equal(t, tool != "prometheus_explain_query", a.IsError, a.Text) // which reads the text without Prometheus
				require.Contains(t, a.Text, "denied: ")
				require.NotContains(t, a.Text, "mistakes: none\n")
				require.NotContains(t, a.Text, "s3cret")
			}
			p := &person{Says: "accept"}
			for tool, args := range map[string]map[string]any{
				"alertmanager_create_silence": {"matchers": `alertname="CoreDown"`, "end": "1h", "author": "me", "comment": "why"},
				"alertmanager_expire_silence": {"id": "x"},
				"prometheus_reload":           {},
			} {
				requireRefused(t, writing(t, b, p), tool, args, "denied: ")
			}
			require.Empty(t, p.Asked)
		})
	}
}
