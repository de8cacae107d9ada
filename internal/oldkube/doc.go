// Package oldkube holds what every server shares, argocd's among them, to the
// oldest Kubernetes client that one of them needs: its go.mod chooses that
// version, and `make check` vets, builds and lints against it. It refuses to
// hold anything else.
package oldkube

import (
	_ "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	_ "github.com/toolcrib/toolcrib/locks/clientgo" // and through it locks, api and mcpkit
)
