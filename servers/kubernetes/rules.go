package kubernetes

import "github.com/toolcrib/toolcrib/mcpkit"

// readable grants reading every built-in type but Secrets, and no type of an
// add-on: an operator who wants those read adds them by name.
var readable = []mcpkit.Rule{
	readRule("", "configmaps", "endpoints", "events", "limitranges", "namespaces", "nodes", "persistentvolumeclaims",
		"persistentvolumes", "pods", "replicationcontrollers", "resourcequotas", "serviceaccounts", "services"),
	readRule("apps", "controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
	readRule("batch", "cronjobs", "jobs"),
	readRule("autoscaling", "horizontalpodautoscalers"),
	readRule("policy", "poddisruptionbudgets"),
	readRule("networking.k8s.io", "ingressclasses", "ingresses", "networkpolicies"),
	readRule("discovery.k8s.io", "endpointslices"),
	readRule("events.k8s.io", "events"),
	readRule("storage.k8s.io", "csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"),
	readRule("scheduling.k8s.io", "priorityclasses"),
	readRule("node.k8s.io", "runtimeclasses"),
	readRule("coordination.k8s.io", "leases"),
	readRule("rbac.authorization.k8s.io", "clusterrolebindings", "clusterroles", "rolebindings", "roles"),
	readRule("apiextensions.k8s.io", "customresourcedefinitions"),
	readRule("apiregistration.k8s.io", "apiservices"),
	readRule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "validatingadmissionpolicies",
		"validatingadmissionpolicybindings", "validatingwebhookconfigurations"),
	readRule("metrics.k8s.io", "nodes", "pods"),
}

func readRule(group string, resources ...string) mcpkit.Rule {
	return mcpkit.Rule{Groups: []string{group}, Resources: resources, Verbs: []string{"get", "list"}}
}

// changeable grants verbs, and reading, on the built-in types whose objects
// people run workloads with. Left out on purpose:
//   - Secrets: their values would pass through the caller's model.
//   - RBAC, webhook configurations, admission policies, CRDs, API services and
//     runtime classes: who writes those decides what everyone else may do.
//   - persistent volumes: one with a host path opens a node's disk, whatever the
//     pod security standard of a namespace says.
//   - types that controllers write and people do not: events, endpoints,
//     leases, controller revisions, volume attachments, CSI nodes.
//
// What is left is power enough: whoever creates pods runs them as any
// ServiceAccount and with any Secret of their namespace, and whoever patches
// namespaces sets their pod security standard. That is what the gate is for. An
// operator who wants more, custom resources for instance, adds it by name.
func changeable(verbs ...string) []mcpkit.Rule {
	grant := func(group string, resources ...string) mcpkit.Rule {
		return mcpkit.Rule{Groups: []string{group}, Resources: resources, Verbs: append([]string{"get", "list"}, verbs...)}
	}
	return []mcpkit.Rule{
		grant("", "configmaps", "limitranges", "namespaces", "persistentvolumeclaims", "pods", "replicationcontrollers",
			"resourcequotas", "serviceaccounts", "services"),
		grant("apps", "daemonsets", "deployments", "replicasets", "statefulsets"),
		grant("batch", "cronjobs", "jobs"),
		grant("autoscaling", "horizontalpodautoscalers"),
		grant("policy", "poddisruptionbudgets"),
		grant("networking.k8s.io", "ingresses", "networkpolicies"),
	}
}

// statusChangeable grants patching the status of the same types, as far as
// they have one, and reading their objects.
var statusChangeable = append(changeable(),
	mcpkit.Rule{Groups: []string{""}, Verbs: []string{"patch"}, Resources: []string{"namespaces/status", "persistentvolumeclaims/status",
		"pods/status", "replicationcontrollers/status", "resourcequotas/status", "services/status"}},
	mcpkit.Rule{Groups: []string{"apps"}, Verbs: []string{"patch"}, Resources: []string{"daemonsets/status", "deployments/status",
		"replicasets/status", "statefulsets/status"}},
	mcpkit.Rule{Groups: []string{"batch"}, Verbs: []string{"patch"}, Resources: []string{"cronjobs/status", "jobs/status"}},
	mcpkit.Rule{Groups: []string{"autoscaling"}, Verbs: []string{"patch"}, Resources: []string{"horizontalpodautoscalers/status"}},
	mcpkit.Rule{Groups: []string{"policy"}, Verbs: []string{"patch"}, Resources: []string{"poddisruptionbudgets/status"}},
	mcpkit.Rule{Groups: []string{"networking.k8s.io"}, Verbs: []string{"patch"}, Resources: []string{"ingresses/status"}},
)
