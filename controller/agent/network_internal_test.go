package agent

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

func TestOriginsHavePortsAndNoPaths(t *testing.T) {
	for text, want := range map[string]string{
		"https://api.anthropic.com/v1?key=x": "https://api.anthropic.com:443",
		"http://Tools.NS.svc:8080/mcp":       "http://tools.ns.svc:8080",
		"http://[::1]/":                      "http://[::1]:80",
		"":                                   "",
		"nonsense":                           "",
	} {
		require.Equal(t, want, origin(text), text)
	}
}

func TestWhichHostsAreServices(t *testing.T) {
	type service struct {
		name, namespace string
		sure            bool
	}
	for host, want := range map[string]service{
		"tools":                       {"tools", "here", false},
		"tools.there":                 {"tools", "there", false},
		"tools.there.svc":             {"tools", "there", true},
		"tools.there.svc.cluster.lan": {"tools", "there", true},
		"api.openai.com":              {}, // though there may be a Service api in a namespace openai
	} {
		name, namespace, sure := serviceOf(host, "here")
		require.Equal(t, want, service{name, namespace, sure}, host)
	}
}

func TestTheWayToProxiesAndCollectorsIsOpen(t *testing.T) {
	w := &work{settings: settings{env: []corev1.EnvVar{
		{Name: "HTTPS_PROXY", Value: "http://proxy.example:3128"},
		{Name: "OTEL_EXPORTER_OTLP_ENDPOINT", Value: "http://collector.tracing.svc:4318"},
		{Name: "HOME_PAGE", Value: "http://elsewhere.example"},
		{Name: "HTTP_PROXY", ValueFrom: &corev1.EnvVarSource{}},
	}}}
	require.Equal(t, []string{"http://collector.tracing.svc:4318", "http://proxy.example:3128"}, destinations(w))
}

func FuzzOriginsAreURLs(f *testing.F) {
	f.Add("http://tools.ns.svc:8080/mcp")
	f.Fuzz(func(t *testing.T, text string) {
		o := origin(text)
		require.NotContains(t, o, " ")
		if o == "" {
			return
		}
		u, err := url.Parse(o)
		require.NoError(t, err)
		require.False(t, strings.Contains(o, "?") || u.User != nil || u.Path != "")
	})
}
