// Package demo asks a real cluster, through a server of ours and as any MCP
// client would, what a person on call would ask.
package demo

// question is what a person would ask, and the tool call an agent would make of it.
type question struct {
	text string
	tool string
	args map[string]any
}

// shopQuestions fit the shop of testbed/shop and its faults.
var shopQuestions = []question{
	{"What is broken right now?", "k8s_cluster_health", map[string]any{}},
	{"Why does checkout not come up?", "k8s_diagnose",
		map[string]any{"resource_type": "deployment", "resource_name": "checkout", "namespace": "shop"}},
	{"Customers cannot pay. Is the payments service reachable?", "k8s_check_service_connectivity",
		map[string]any{"service_name": "payments", "namespace": "shop"}},
	{"What is orders waiting for?", "k8s_diagnose",
		map[string]any{"resource_type": "deployment", "resource_name": "orders", "namespace": "shop"}},
	{"What changed in the last hour?", "k8s_list_changes", map[string]any{"namespace": "shop", "since": "1h"}},
	{"Which images run where?", "k8s_get_resources",
		map[string]any{"resource_type": "pods", "all_namespaces": true, "count_by": "images"}},
	{"Show me the database password.", "k8s_get_resource_yaml",
		map[string]any{"resource_type": "secret", "resource_name": "orders-db", "namespace": "shop"}},
	{"Could you delete a pod if you wanted to?", "k8s_check_access",
		map[string]any{"verb": "delete", "resource_type": "pods", "namespace": "shop"}},
}

// anyQuestions fit every cluster. They only read.
var anyQuestions = []question{
	{"What is broken right now?", "k8s_cluster_health", map[string]any{}},
	{"What changed in the last hour?", "k8s_list_changes", map[string]any{"since": "1h"}},
	{"Which images run where?", "k8s_get_resources",
		map[string]any{"resource_type": "pods", "all_namespaces": true, "count_by": "images", "limit": 20}},
	{"What kind of cluster is this?", "k8s_get_cluster_configuration", map[string]any{}},
}
