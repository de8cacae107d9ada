package index

import (
	"slices"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// declared is the agent's declaration with references in their one form.
// Errors leave as much of it as could be read, which is what there is to index.
func declared(o client.Object) (namespace string, d *kagent.DeclarativeAgentSpec) {
	a := o.(*kagent.Agent).DeepCopy()
	_ = a.Normalise() // the reconciler tells
	if a.Spec.Declarative == nil {
		return a.Namespace, &kagent.DeclarativeAgentSpec{}
	}
	return a.Namespace, a.Spec.Declarative
}

func modelConfigs(o client.Object) []string {
	namespace, d := declared(o)
	keys := []string{Key(namespace, d.ModelConfig)}
	if d.Context != nil && d.Context.Compaction != nil && d.Context.Compaction.Summarizer != nil {
		keys = append(keys, Key(namespace, d.Context.Compaction.Summarizer.ModelConfig))
	}
	return unique(keys)
}

func servers(o client.Object) []string {
	_, d := declared(o)
	var keys []string
	for _, t := range d.Tools {
		if t.MCPServer != nil {
			keys = append(keys, Key(t.MCPServer.Namespace, t.MCPServer.Name))
		}
	}
	return unique(keys)
}

func agents(o client.Object) []string {
	_, d := declared(o)
	var keys []string
	for _, t := range d.Tools {
		if t.Agent != nil {
			keys = append(keys, Key(t.Agent.Namespace, t.Agent.Name))
		}
	}
	return unique(keys)
}

func configMapsOfAgent(o client.Object) []string {
	namespace, d := declared(o)
	var keys []string
	if s := d.SystemMessageFrom; s != nil && s.Type == kagent.ConfigMapValueSource {
		keys = append(keys, Key(namespace, s.Name))
	}
	if d.PromptTemplate != nil {
		for _, s := range d.PromptTemplate.DataSources {
			keys = append(keys, Key(namespace, s.Name))
		}
	}
	for _, t := range d.Tools {
		keys = append(keys, configMaps(namespace, t.HeadersFrom)...)
	}
	return unique(keys)
}

func configMapsOfServer(o client.Object) []string {
	s := o.(*kagent.RemoteMCPServer)
	return unique(configMaps(s.Namespace, s.Spec.HeadersFrom))
}

func configMaps(namespace string, headers []kagent.ValueRef) []string {
	var keys []string
	for _, h := range headers {
		if h.ValueFrom != nil && h.ValueFrom.Type == kagent.ConfigMapValueSource {
			keys = append(keys, Key(namespace, h.ValueFrom.Name))
		}
	}
	return keys
}

func unique(keys []string) []string {
	slices.Sort(keys)
	return slices.Compact(keys)
}
