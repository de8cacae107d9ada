package testbed

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

const knob = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: knobs.toolcrib.test}
spec:
  group: toolcrib.test
  scope: Namespaced
  names: {kind: Knob, plural: knobs}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`

func TestWhatIsInstalledIsServed(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	namespace := filepath.Join(t.TempDir(), "namespace.yaml")
	require.NoError(t, os.WriteFile(filepath.Join(folder, "knobs.yaml"), []byte(knob), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "README.md"), []byte("no manifest"), 0o600))
	require.NoError(t, os.WriteFile(namespace, []byte("{apiVersion: v1, kind: Namespace, metadata: {name: knobs}}"), 0o600))
	require.NoError(t, node.Install(limit(t), namespace, folder))
	require.NoError(t, node.Apply(limit(t), []byte("{apiVersion: toolcrib.test/v1, kind: Knob, metadata: {name: one, namespace: knobs}}")))
	out, err := node.Kubectl(limit(t), "get", "knobs", "-n", "knobs", "-o", "name")
	require.NoError(t, err)
	require.Equal(t, "knob.toolcrib.test/one\n", string(out))
	require.ErrorIs(t, node.Install(limit(t), filepath.Join(folder, "nothing.yaml")), os.ErrNotExist)
}
