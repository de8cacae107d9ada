package deployed

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// status is what the server answers to a request with this token.
func status(t *testing.T, s service, token string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(limit(t), http.MethodPost, s.url(), strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"tools/list"}`))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	transport := s.transport(token)
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	return resp.StatusCode
}

// write is one request that the API server would take for a write.
type write struct{ method, path string }

// methods are what a verb is in HTTP; exec counts as a write however it begins.
var methods = map[string]string{
	"create": http.MethodPost, "update": http.MethodPut, "patch": http.MethodPatch, "delete": http.MethodDelete, "deletecollection": http.MethodDelete,
}

// writes are all that a rule lets its holder change in a namespace, or anywhere
// if there is none, tried on objects that do not exist: the API server looks at
// rights first.
func (r rule) writes(namespace string) (out []write) {
	for _, group := range r.APIGroups {
		root := "/apis/" + group + "/v1"
		if group == "" {
			root = "/api/v1"
		}
		for _, resource := range r.Resources {
			kind, sub, _ := strings.Cut(resource, "/")
			for _, verb := range r.Verbs {
				method, ok := methods[verb]
				if sub == "exec" && verb == "get" {
					method, ok = http.MethodGet, true
				}
				if !ok {
					continue
				}
				path := kind
				if verb != "create" && verb != "deletecollection" || sub != "" {
					path += "/no-such-object"
				}
				if sub != "" {
					path += "/" + sub
				}
				if namespace == "" {
					out = append(out, write{method, root + "/" + path}, write{method, root + "/namespaces/shop/" + path})
				} else {
					out = append(out, write{method, root + "/namespaces/" + namespace + "/" + path})
				}
			}
		}
	}
	return out
}

// cannotWrite asks the API server with the very token that the kubelet asks for
// the read server's pod, and, so that what is refused is what a write takes, with
// the write server's.
func cannotWrite(t *testing.T, chart, namespace string) {
	rules := granted(t, chart+"/files/write.yaml")
	if namespace == "" {
		rules.Rules = append(rules.Rules, rules.ClusterRules...)
	}
	all := []write{{http.MethodPost, "/apis/toolcrib.dev/v1alpha1/namespaces/crib/approvals"}}
	for _, r := range rules.Rules {
		if !slices.Contains(r.APIGroups, "authorization.k8s.io") { // its create only asks
			all = append(all, r.writes(namespace)...)
		}
	}
	require.Greater(t, len(all), 50)
	reader, writer := holder(t, chart, "read"), holder(t, chart, "write")
	for _, w := range all {
		require.Equal(t, http.StatusForbidden, reader.try(t, w), w)
		require.NotEqual(t, http.StatusForbidden, writer.try(t, w), w)
	}
}

// account is a ServiceAccount towards the API server.
type account struct {
	host string
	*http.Client
}

// holder is the ServiceAccount of a pod of one of a chart's servers.
func holder(t *testing.T, chart, access string) account {
	t.Helper()
	pod := kubectl(t, "get", "pods", "-n", "crib", "-l", "app.kubernetes.io/instance=crib-"+chart+",app.kubernetes.io/component="+access, "-o", "jsonpath={.items[0].metadata.name}")
	name := kubectl(t, "get", "pod", pod, "-n", "crib", "-o", "jsonpath={.spec.serviceAccountName}")
	config, err := clientcmd.BuildConfigFromFlags("", cluster.Kubeconfig)
	require.NoError(t, err)
	config = rest.AnonymousClientConfig(config)
	config.BearerToken = requested(t, "crib", name, "--bound-object-kind=Pod", "--bound-object-name="+pod)
	client, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(client.CloseIdleConnections)
	return account{config.Host, client}
}

func (a account) try(t *testing.T, w write) int {
	t.Helper()
	req, err := http.NewRequestWithContext(limit(t), w.method, a.host+w.path, strings.NewReader("{}"))
	require.NoError(t, err)
	contentType := "application/json"
	if w.method == http.MethodPatch {
		contentType = "application/merge-patch+json"
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := a.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	return resp.StatusCode
}

func (w write) String() string { return fmt.Sprintf("%s %s", w.method, w.path) }
