// Package index finds the objects that refer to another, so that a change of
// the one has the others looked at again. It refuses to know why.
package index

import (
	"context"
	"errors"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// RunAgent is the index of AgentRuns by the name of their Agent: the field's, by
// which the API server selects too.
const RunAgent = "spec.agent"

// The indexes of Agents and RemoteMCPServers. The value of each is the NAMESPACE/NAME
// of what is referred to.
const (
	ModelConfig     = "spec.modelConfig"
	RemoteMCPServer = "spec.tools.mcpServer"
	Agent           = "spec.tools.agent"
	ConfigMap       = "spec.configMap"
)

// Key is the value of an index for one object.
func Key(namespace, name string) string { return namespace + "/" + name }

// Add adds the indexes.
func Add(ctx context.Context, indexer client.FieldIndexer) error {
	return errors.Join(
		indexer.IndexField(ctx, &kagent.Agent{}, ModelConfig, modelConfigs),
		indexer.IndexField(ctx, &kagent.Agent{}, RemoteMCPServer, servers),
		indexer.IndexField(ctx, &kagent.Agent{}, Agent, agents),
		indexer.IndexField(ctx, &kagent.Agent{}, ConfigMap, configMapsOfAgent),
		indexer.IndexField(ctx, &kagent.RemoteMCPServer{}, ConfigMap, configMapsOfServer),
		indexer.IndexField(ctx, &v1alpha1.AgentRun{}, RunAgent, func(o client.Object) []string { return []string{o.(*v1alpha1.AgentRun).Spec.Agent} }),
	)
}
