package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/locks/lockstest"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// over is a backend with a kubeconfig.
func over(kubeconfig, userAgent string) *Backend {
	return New(Config{Cluster: clientgo.Cluster{Kubeconfig: kubeconfig, UserAgent: userAgent}})
}

// admin is a backend that may do everything.
func admin(t testing.TB) *Backend {
	t.Helper()
	return over(kubeconfig(), "kubernetes-mcp/test")
}

// toolset are the tools of a server over b.
func toolset(b *Backend) *mcpkit.Toolset {
	ts := mcpkit.NewToolset()
	Register(ts, b)
	return ts
}

// serve returns a client session with a server over b.
func serve(t testing.TB, b *Backend, access mcpkit.Access, decide mcptest.Decide) *mcptest.Session {
	t.Helper()
	return mcptest.Connect(t, toolset(b), mcpkit.Options{Name: "kubernetes-mcp", Access: access, CallTimeout: patience}, decide)
}

// patience is how long a call may take on a machine that is very busy.
const patience = 10 * time.Minute

// reading is a session of the read server as cluster-admin.
func reading(t testing.TB) *mcptest.Session {
	t.Helper()
	return serve(t, admin(t), mcpkit.AccessRead, nil)
}

// looker is what tests look and prepare with, so that not each of their waits
// connects, and asks for all types, anew.
var looker = sync.OnceValue(func() *Backend {
	return over(kubeconfig(), "kubernetes-mcp/fixture")
})

func testClients(t testing.TB) *clients {
	t.Helper()
	c, err := looker().open()
	require.NoError(t, err)
	return c
}

// typeOf finds a type that the cluster serves, be it since a moment ago.
func typeOf(t testing.TB, name string) resourceType {
	t.Helper()
	kind, err := looker().resolve(context.WithoutCancel(t.Context()), name)
	if err != nil {
		kind, err = admin(t).resolve(context.WithoutCancel(t.Context()), name)
	}
	require.NoError(t, err)
	return kind
}

// namespace makes a namespace for one test and removes it afterwards.
func namespace(t testing.TB) string { return lockstest.Namespace(t, cluster()) }

// apply puts every document of a manifest into the cluster, those of
// namespaced types into ns.
func apply(t testing.TB, ns, manifest string) {
	t.Helper()
	c, grants := testClients(t), false
	d := yaml.NewYAMLOrJSONDecoder(bytes.NewReader([]byte(manifest)), 4096)
	for {
		var o unstructured.Unstructured
		err := d.Decode(&o.Object)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		if len(o.Object) == 0 {
			continue
		}
		group := o.GroupVersionKind().Group
		grants = grants || group == rbacv1.GroupName
		name := strings.TrimSuffix(o.GetKind()+"."+group, ".")
		kind := typeOf(t, name)
		into := c.in(kind, "")
		if kind.Namespaced {
			o.SetNamespace(ns)
			into = c.in(kind, ns)
		}
		_, err = into.Apply(t.Context(), o.GetName(), &o, metav1.ApplyOptions{FieldManager: "test", Force: true})
		require.NoError(t, err)
	}
	if grants {
		require.NoError(t, cluster().AwaitGrants(t.Context()))
	}
}

// within waits until a condition of the cluster holds. The end is far, since no
// test is about how fast a machine is.
func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, 5*time.Minute, 100*time.Millisecond, what)
}

// granted is a backend whose ServiceAccount has exactly rules, cluster-wide.
func granted(t testing.TB, rules ...mcpkit.Rule) *Backend {
	t.Helper()
	kubeconfig, home := lockstest.Server(t, cluster(), "", rules...)
	return over(kubeconfig, "kubernetes-mcp/"+home)
}

// tokenKubeconfig writes a kubeconfig for the test cluster with another token.
func tokenKubeconfig(t testing.TB, token string) string {
	return lockstest.Kubeconfig(t, cluster(), token)
}
