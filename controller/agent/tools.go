package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/labels"
	"github.com/toolcrib/toolcrib/controller/nearest"
	"github.com/toolcrib/toolcrib/controller/outcome"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// tools looks up the tool servers and agents, and returns the tools that are
// served, the values of ConfigMaps written into their headers.
func (s *resolver) tools(ctx context.Context, tools []kagent.Tool) []kagent.Tool {
	var served []kagent.Tool
	for i, t := range tools {
		path := at("spec.declarative.tools", i)
		switch {
		case t.Agent != nil:
			s.agent(ctx, path+".agent", t.Agent)
		case t.MCPServer.Kind != "RemoteMCPServer":
			continue // Unsupported tells
		default:
			s.server(ctx, path+".mcpServer", t.MCPServer)
		}
		t.HeadersFrom = s.headers(ctx, path+".headersFrom", s.w.Namespace, t.HeadersFrom)
		served = append(served, t)
	}
	return served
}

func (s *resolver) server(ctx context.Context, path string, t *kagent.MCPServerTool) {
	server := kagent.RemoteMCPServer{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name}}
	if !s.refer(ctx, path, reference{"RemoteMCPServer", "ServerNotFound", &server, &kagent.RemoteMCPServerList{}}, &server.Spec.AllowedNamespaces) {
		return
	}
	s.names(ctx, path, t, &server)
	if !s.w.references.once("RemoteMCPServer", t.Namespace, t.Name) {
		return
	}
	if err := server.Normalise(); err != nil {
		s.add("ServerInvalid", "%s: RemoteMCPServer %q cannot be used; its conditions say why", path, t.Name)
		return
	}
	s.audience(ctx, path, &server)
	server.Spec.HeadersFrom = s.serverHeaders(ctx, path, &server)
	s.w.references.servers = append(s.w.references.servers, server)
}

// names compares the names of tools with those that the server was found to
// have, and notes the grants that the agent needs for them.
func (s *resolver) names(ctx context.Context, path string, t *kagent.MCPServerTool, server *kagent.RemoteMCPServer) {
	var known []string
	for _, tool := range server.Status.DiscoveredTools {
		known = append(known, tool.Name)
	}
	if len(known) == 0 {
		s.w.notes = append(s.w.notes, fmt.Sprintf("the tools of RemoteMCPServer %q were not checked, as none are known yet", server.Name))
	}
	has := func(name string) bool { return len(known) == 0 || slices.Contains(known, name) }
	check := func(field string, names []string) {
		for i, name := range names {
			if !has(name) {
				s.add("ToolNotFound", "%s: RemoteMCPServer %q has no tool %q; %s", at(path+"."+field, i), server.Name, name, cmp.Or(s.elsewhere(ctx, name), nearest.Advice(name, known)))
			}
		}
	}
	check("toolNames", t.ToolNames)
	if len(t.ToolNames) == 0 {
		check("requireApproval", t.RequireApproval)
	}
	if server.Annotations[labels.Audience] == "" {
		return // it knows its callers by other means than the cluster
	}
	for _, name := range t.ToolNames {
		if has(name) && s.w.references.once("grant", server.Namespace, name) {
			s.w.references.grants = append(s.w.references.grants, grant{server.Namespace, name})
		}
	}
}

// elsewhere says which RemoteMCPServers of the Agent's namespace have the tool:
// the tools that write are often those of another server. It is empty if there
// are none.
func (s *resolver) elsewhere(ctx context.Context, tool string) string {
	var list kagent.RemoteMCPServerList
	s.fail(s.List(ctx, &list, client.InNamespace(s.w.Namespace), client.UnsafeDisableDeepCopy))
	var have []string
	for _, server := range list.Items {
		if slices.ContainsFunc(server.Status.DiscoveredTools, func(t kagent.MCPTool) bool { return t.Name == tool }) {
			have = append(have, fmt.Sprintf("%q", server.Name))
		}
	}
	if len(have) == 0 {
		return ""
	}
	slices.Sort(have)
	return "RemoteMCPServer " + strings.Join(have, ", ") + " has it; take it from there"
}

// audience refuses to hand agents' tokens to a server that could use them on
// the API server.
func (s *resolver) audience(ctx context.Context, path string, server *kagent.RemoteMCPServer) {
	if audience := server.Annotations[labels.Audience]; audience != "" {
		err := s.options.Identity.Check(ctx, audience)
		var e *outcome.Error
		if errors.As(err, &e) {
			err = &outcome.Error{Reason: e.Reason, After: e.After, Message: fmt.Sprintf("%s: RemoteMCPServer %q: %s", path, server.Name, e.Message)}
		}
		s.fail(err)
	}
}

// serverHeaders are the headers that the server wants of its callers. The pod
// can have those from Secrets of its own namespace only.
func (s *resolver) serverHeaders(ctx context.Context, path string, server *kagent.RemoteMCPServer) []kagent.ValueRef {
	if server.Namespace != s.w.Namespace {
		for _, h := range server.Spec.HeadersFrom {
			if h.ValueFrom != nil && h.ValueFrom.Type == kagent.SecretValueSource {
				s.add("SecretOfOtherNamespace", "%s: RemoteMCPServer %q takes header %s from Secret %q of namespace %q, which pods of namespace %q cannot have; give this agent the header by headersFrom, or make a RemoteMCPServer in its namespace", path, server.Name, h.Name, h.ValueFrom.Name, server.Namespace, s.w.Namespace)
				return nil
			}
		}
		if t := server.Spec.TLS; t != nil && t.CACertSecretRef != "" {
			s.add("SecretOfOtherNamespace", "%s: RemoteMCPServer %q trusts the certificates of Secret %q of namespace %q, which pods of namespace %q cannot have; make a RemoteMCPServer in that namespace", path, server.Name, t.CACertSecretRef, server.Namespace, s.w.Namespace)
			return nil
		}
	}
	s.authority(server.Spec.TLS)
	return s.headers(ctx, fmt.Sprintf("%s: RemoteMCPServer %q: spec.headersFrom", path, server.Name), server.Namespace, server.Spec.HeadersFrom)
}

// headers has Secrets mounted and writes the values of ConfigMaps out.
func (s *resolver) headers(ctx context.Context, path, namespace string, headers []kagent.ValueRef) []kagent.ValueRef {
	var out []kagent.ValueRef
	for i, h := range headers {
		if from := h.ValueFrom; from != nil && from.Type == kagent.SecretValueSource {
			s.secret(from.Name, from.Key)
		} else if from != nil {
			m := s.configMap(ctx, at(path, i), namespace, from.Name, from.Key)
			if m == nil {
				continue
			}
			h = kagent.ValueRef{Name: h.Name, Value: new(strings.TrimSpace(m.Data[from.Key]))}
		}
		out = append(out, h)
	}
	return out
}

func (s *resolver) agent(ctx context.Context, path string, t *kagent.TypedReference) {
	a := kagent.Agent{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name}}
	if !s.refer(ctx, path, reference{"Agent", "AgentNotFound", &a, &kagent.AgentList{}}, &a.Spec.AllowedNamespaces) || !s.w.references.once("Agent", t.Namespace, t.Name) {
		return
	}
	if a.Spec.Type == kagent.AgentTypeBYO {
		s.add("AgentNotServed", "%s: Agent %q is of type BYO, which is not run", path, t.Name)
		return
	}
	s.w.references.agents = append(s.w.references.agents, a)
}

// refer gets what a tool names, and says whether the Agent may use it. The rule is
// a field of the object.
func (s *resolver) refer(ctx context.Context, path string, r reference, rule **kagent.AllowedNamespaces) bool {
	return s.watched(path, r.object.GetNamespace()) && s.find(ctx, path+".name", r) && s.allowed(ctx, path, r.kind, r.object, *rule)
}

// allowed says whether the Agent's namespace may refer to the object.
func (s *resolver) allowed(ctx context.Context, path, kind string, o client.Object, rule *kagent.AllowedNamespaces) bool {
	if o.GetNamespace() == s.w.Namespace {
		return true
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := s.Get(ctx, client.ObjectKey{Name: s.w.Namespace}, namespace); err != nil {
		s.fail(fmt.Errorf("read namespace %s: %w", s.w.Namespace, err))
		return false
	}
	ok, err := rule.Allows(o.GetNamespace(), s.w.Namespace, namespace.Labels)
	if err != nil || !ok {
		s.add("NamespaceNotAllowed", "%s: %s %q of namespace %q may not be used from namespace %q; its spec.allowedNamespaces must allow it", path, kind, o.GetName(), o.GetNamespace(), s.w.Namespace)
	}
	return ok && err == nil
}

// watched says whether the controller knows what there is in the namespace.
func (s *resolver) watched(path, namespace string) bool {
	ok := len(s.options.Namespaces) == 0 || slices.Contains(s.options.Namespaces, namespace)
	if !ok {
		s.add("NamespaceNotWatched", "%s: the controller does not watch namespace %q; name it among its --watch-namespaces", path, namespace)
	}
	return ok
}
