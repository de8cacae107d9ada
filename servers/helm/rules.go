package helm

import (
	"slices"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// writeRules are what every tool that writes a release needs: its records, the
// objects of the usual charts, and what tells why one of them does not become
// ready.
var writeRules = slices.Concat([]mcpkit.Rule{
	{Groups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list", "create", "update", "patch", "delete"}},
	{Groups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get", "create"}},
	{Groups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
	{Groups: []string{""}, Resources: []string{"events"}, Verbs: []string{"list"}},
}, installable)

// installable grants installing the built-in types of which charts are usually
// made. This is the list to extend when a chart of yours is refused for lack of
// a right. Left out on purpose:
//   - cluster roles and their bindings, CRDs, webhook configurations, admission
//     policies and API services: who writes those decides what everyone else
//     may do.
//   - persistent volumes and storage classes: one with a host path opens a
//     node's disk.
//
// Roles and role bindings are here because hardly a chart goes without; the API
// server lets nobody grant by them more than they may do themselves.
var installable = []mcpkit.Rule{
	install("", "configmaps", "limitranges", "persistentvolumeclaims", "pods", "replicationcontrollers", "resourcequotas",
		"serviceaccounts", "services"),
	install("apps", "daemonsets", "deployments", "replicasets", "statefulsets"),
	install("batch", "cronjobs", "jobs"),
	install("autoscaling", "horizontalpodautoscalers"),
	install("policy", "poddisruptionbudgets"),
	install("networking.k8s.io", "ingresses", "networkpolicies"),
	install("rbac.authorization.k8s.io", "rolebindings", "roles"),
}

func install(group string, resources ...string) mcpkit.Rule {
	return mcpkit.Rule{Groups: []string{group}, Resources: resources, Verbs: []string{"get", "list", "create", "patch", "delete"}}
}
