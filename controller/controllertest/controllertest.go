// Package controllertest installs what the controller needs on a test cluster,
// as its chart does, so that tests run it with its own rights and no others. It
// refuses to run it: that is the tests' matter.
package controllertest

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"github.com/toolcrib/toolcrib/controller"
	"github.com/toolcrib/toolcrib/testbed"
)

const binding = `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: toolcrib-controller, namespace: toolcrib}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: toolcrib-controller}
subjects: [{kind: ServiceAccount, namespace: toolcrib, name: toolcrib-controller}]
`

// Install brings the types of the folder of charts and the roles, and the
// ServiceAccount toolcrib/toolcrib-controller with them, of which it returns the
// path of a kubeconfig.
func Install(ctx context.Context, cluster *testbed.Cluster, charts string) (kubeconfig string, err error) {
	roles, err := roles()
	if err != nil {
		return "", err
	}
	if _, err := cluster.ServiceAccount(ctx, "toolcrib", "toolcrib-controller"); err != nil {
		return "", err
	}
	types, err := types(charts)
	if err != nil {
		return "", err
	}
	if err := cluster.Install(ctx, types...); err != nil {
		return "", err
	}
	if err := cluster.Apply(ctx, bytes.Join([][]byte{roles, []byte(binding)}, []byte("\n---\n"))); err != nil {
		return "", err
	}
	return cluster.ServiceAccount(ctx, "toolcrib", "toolcrib-controller", "toolcrib-controller")
}

// types are the files of the charts' CRDs.
func types(charts string) ([]string, error) {
	var out []string
	for _, pattern := range []string{"controller/manifests/kagent.dev_*.yaml", "locks/manifests/toolcrib.dev_*.yaml"} {
		files, err := filepath.Glob(filepath.Join(charts, pattern))
		if err != nil {
			return nil, err
		}
		out = append(out, files...)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("no CRDs under %s", charts)
	}
	return out, nil
}

// roles are the controller's, the Role in its own namespace.
func roles() ([]byte, error) {
	var roles bytes.Buffer
	if err := controller.WriteRoles(&roles); err != nil {
		return nil, err
	}
	documents := bytes.Split(roles.Bytes(), []byte("---\n"))
	for i, text := range documents {
		if bytes.Contains(text, []byte("kind: Role\n")) {
			documents[i] = bytes.Replace(text, []byte("metadata:\n"), []byte("metadata:\n  namespace: toolcrib\n"), 1)
		}
	}
	return bytes.Join(documents, []byte("---\n")), nil
}
