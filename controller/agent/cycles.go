package agent

import (
	"context"
	"slices"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cycles refuses agents that would ask each other in a circle that this one is
// part of.
func (s *resolver) cycles(ctx context.Context) {
	start := s.w.Namespace + "/" + s.w.Name
	seen := map[string]bool{}
	var walk func(a *kagent.Agent, path []string)
	walk = func(a *kagent.Agent, path []string) {
		for _, next := range asks(a) {
			if next == start {
				s.add("Cycle", "agents as tools go round in a circle: %s; take one of them out", strings.Join(append(slices.Clone(path), next), " -> "))
				continue
			}
			if seen[next] {
				continue
			}
			seen[next] = true
			namespace, name, _ := strings.Cut(next, "/")
			var b kagent.Agent
			if err := s.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &b); err == nil { // those that are missing are their askers' problem
				walk(&b, append(slices.Clone(path), next))
			}
		}
	}
	walk(s.w.declared, []string{start})
}

// asks are the agents that a has as tools.
func asks(a *kagent.Agent) []string {
	a = a.DeepCopy()
	if err := a.Normalise(); err != nil || a.Spec.Declarative == nil {
		return nil // such an agent does not run
	}
	var out []string
	for _, t := range a.Spec.Declarative.Tools {
		if t.Agent != nil {
			out = append(out, t.Agent.Namespace+"/"+t.Agent.Name)
		}
	}
	return out
}
