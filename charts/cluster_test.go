package charts

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
)

// bed has the types that charts can meet and the namespaces they are for, where
// pods must be restricted.
var bed = testbed.Shared{Prepare: func(ctx context.Context, c *testbed.Cluster) error {
	if err := c.Install(ctx, "testdata/crds", "locks/manifests", "controller/manifests"); err != nil {
		return err
	}
	for _, name := range []string{namespace, installedIn, "a", "b"} {
		if err := c.Apply(ctx, fmt.Appendf(nil,
			`{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": %q, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}`, name)); err != nil {
			return err
		}
	}
	return nil
}}

func cluster() *testbed.Cluster { return bed.Cluster() }

// programs are Helm's own, of both major versions.
var programs = sync.OnceValue(func() build.Programs {
	p, err := build.Build(context.Background(), os.Stderr, build.Helm, build.Helm4)
	testbed.OrExit("no helm", err)
	return p
})

func TestMain(m *testing.M) {
	log.SetOutput(io.Discard) // Helm remarks on the link to the library at each load
	os.Exit(bed.Run(m))
}

// helmHome is a home for Helm that holds nothing yet.
func helmHome(t *testing.T) []string {
	t.Helper()
	home := t.TempDir()
	return append(os.Environ(), "KUBECONFIG="+cluster().Kubeconfig,
		"HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
}

// runHelm runs a command line of the Helm of that name.
func runHelm(t *testing.T, helm string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), programs()[helm], args...)
	cmd.Env = helmHome(t)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "%s %v: %s%s", helm, args, &out, &errs)
	return out.String()
}

func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := cluster().Kubectl(t.Context(), args...)
	require.NoError(t, err)
	return string(out)
}

// kubectlWith runs kubectl on a manifest.
func kubectlWith(t *testing.T, manifest string, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.yaml")
	require.NoError(t, os.WriteFile(path, []byte(manifest), 0o600))
	return kubectl(t, append(args, "-f", path)...)
}

// reviewed puts a question about rights to the API server.
func reviewed(t *testing.T, resource, question string, flags ...string) string {
	t.Helper()
	return kubectlWith(t, question, append([]string{"create", "--raw=/apis/authorization.k8s.io/v1/" + resource}, flags...)...)
}

// object is any Kubernetes object.
type object = map[string]any

// at is what lies in an object below the keys.
func at[T any](o object, path ...string) T {
	for _, key := range path[:len(path)-1] {
		o, _ = o[key].(object)
	}
	value, _ := o[path[len(path)-1]].(T)
	return value
}

func asJSON(t *testing.T, o object) string {
	t.Helper()
	out, err := json.Marshal(o)
	require.NoError(t, err)
	return string(out)
}

func decoded[T any](t *testing.T, text string) T {
	t.Helper()
	var out T
	require.NoError(t, json.Unmarshal([]byte(text), &out), text)
	return out
}
