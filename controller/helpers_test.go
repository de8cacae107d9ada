package controller_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// enough is how long a machine may take that is short of everything.
const enough = 15 * time.Minute

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), enough)
	t.Cleanup(cancel)
	return ctx
}

// until waits until right returns no error.
func until(t *testing.T, right func() error) {
	t.Helper()
	ctx := limit(t)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := right()
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(t, err)
		case <-tick.C:
		}
	}
}

var namespaces atomic.Int32

// namespace is a new one.
func namespace(t *testing.T, labels map[string]string) string {
	t.Helper()
	name := fmt.Sprintf("n%d", namespaces.Add(1))
	require.NoError(t, admin.Create(limit(t), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}))
	return name
}

// apply applies YAML as the administrator, into the namespace where it names
// none.
func apply(t *testing.T, namespace, text string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "objects.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	_, err := cluster.Kubectl(limit(t), "-n", namespace, "apply", "-f", file)
	require.NoError(t, err)
}

// may waits until the API server lets the ServiceAccount do what kubectl auth
// can-i is asked: it hears of grants a moment after they are made.
func may(t *testing.T, namespace, account string, question ...string) {
	t.Helper()
	until(t, func() error {
		_, err := cluster.Kubectl(limit(t), append([]string{"-n", namespace, "--as=system:serviceaccount:" + namespace + ":" + account, "auth", "can-i"}, question...)...)
		return err
	})
}

// conditioned is an object with conditions.
type conditioned interface {
	client.Object
	*kagent.Agent | *kagent.ModelConfig | *kagent.RemoteMCPServer
}

func conditions(o any) []metav1.Condition {
	switch o := o.(type) {
	case *kagent.Agent:
		return o.Status.Conditions
	case *kagent.ModelConfig:
		return o.Status.Conditions
	case *kagent.RemoteMCPServer:
		return o.Status.Conditions
	}
	return nil
}

// becomes waits until the condition of the object's newest generation has the
// status, the reason and all parts of a message, and returns its message. What is
// not the object's own the controller may hear of later than the object.
func becomes[O conditioned](t *testing.T, o O, kind string, status metav1.ConditionStatus, reason string, parts ...string) string {
	t.Helper()
	var message string
	until(t, func() error {
		if err := admin.Get(limit(t), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		c := meta.FindStatusCondition(conditions(o), kind)
		if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != o.GetGeneration() {
			return fmt.Errorf("%s is to be %s, %s; generation %d has %+v", kind, status, reason, o.GetGeneration(), conditions(o))
		}
		for _, part := range parts {
			if !strings.Contains(c.Message, part) {
				return fmt.Errorf("%s is to say %q; it says %q", kind, part, c.Message)
			}
		}
		message = c.Message
		return nil
	})
	return message
}

func agentOf(namespace, name string) *kagent.Agent {
	return &kagent.Agent{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func serverOf(namespace, name string) *kagent.RemoteMCPServer {
	return &kagent.RemoteMCPServer{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

func modelOf(namespace, name string) *kagent.ModelConfig {
	return &kagent.ModelConfig{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
}

// mcpServer is one in this process, with read tools of these names; those that
// begin with write_ or destroy_ are of that class.
func mcpServer(tools ...string) *mcp.Server {
	s := mcp.NewServer(&mcp.Implementation{Name: "test", Version: "1"}, nil)
	for _, name := range tools {
		a := &mcp.ToolAnnotations{ReadOnlyHint: true}
		if strings.HasPrefix(name, "write_") {
			a = &mcp.ToolAnnotations{DestructiveHint: new(false)}
		}
		if strings.HasPrefix(name, "destroy_") {
			a = &mcp.ToolAnnotations{DestructiveHint: new(true)}
		}
		mcp.AddTool(s, &mcp.Tool{Name: name, Description: "Does\n " + name + "\x1b[31m.", Annotations: a}, func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, any, error) {
			return &mcp.CallToolResult{}, nil, nil
		})
	}
	return s
}

// serves is the URL of the server over streamable HTTP.
func serves(t *testing.T, s *mcp.Server) string {
	t.Helper()
	h := httptest.NewServer(mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return s }, nil))
	t.Cleanup(h.Close)
	return h.URL
}

// remote is a RemoteMCPServer as YAML.
func remote(name, url, rest string) string {
	return fmt.Sprintf("apiVersion: kagent.dev/v1alpha2\nkind: RemoteMCPServer\nmetadata: {name: %s}\nspec:\n  description: For tests\n  url: %s\n%s---\n", name, url, rest)
}

// model is a ModelConfig that wants no key.
const model = `
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: default-model-config}
spec: {provider: ollama, model: small, ollama: {host: "http://ollama.models.svc:11434"}}
---
`

// object decodes one YAML document.
func object[T any](t *testing.T, text string) T {
	t.Helper()
	var o T
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), &o), text)
	return o
}

func names(list client.ObjectList) []string {
	var out []string
	_ = meta.EachListItem(list, func(o runtime.Object) error {
		out = append(out, fmt.Sprintf("%T %s", o, o.(client.Object).GetName()))
		return nil
	})
	return out
}

// configuration is what the Agent's revision that serves is given.
func configuration(t *testing.T, a *kagent.Agent) map[string]string {
	t.Helper()
	var m corev1.ConfigMap
	require.NoError(t, admin.Get(limit(t), client.ObjectKey{Namespace: a.Namespace, Name: a.Name + "-" + a.Status.Revision}, &m))
	return m.Data
}

// merge patches the object.
func merge(t *testing.T, o client.Object, patch string) {
	t.Helper()
	require.NoError(t, admin.Patch(limit(t), o, client.RawPatch(types.MergePatchType, []byte(patch))))
}
