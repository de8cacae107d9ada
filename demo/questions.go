// Package demo asks a real cluster, through a server of ours and as any MCP
// client would, what a person on call would ask, and then has an agent mend one
// fault of it, with a person's word. A cluster that is not its own it only reads.
package demo

// question is what a person would ask, and the tool call an agent would make of it.
type question struct {
	server string
	text   string
	tool   string
	args   map[string]any
}

// shopQuestions fit the shop of testbed/shop and its faults.
var shopQuestions = []question{
	{kubernetes, "What is broken right now?", "k8s_cluster_health", map[string]any{}},
	{kubernetes, "Why does checkout not come up?", "k8s_diagnose",
		map[string]any{"resource_type": "deployment", "resource_name": "checkout", "namespace": "shop"}},
	{kubernetes, "Customers cannot pay. Is the payments service reachable?", "k8s_check_service_connectivity",
		map[string]any{"service_name": "payments", "namespace": "shop"}},
	{kubernetes, "What is orders waiting for?", "k8s_diagnose",
		map[string]any{"resource_type": "deployment", "resource_name": "orders", "namespace": "shop"}},
	{kubernetes, "What changed in the last hour?", "k8s_list_changes", map[string]any{"namespace": "shop", "since": "1h"}},
	{kubernetes, "Which images run where?", "k8s_get_resources",
		map[string]any{"resource_type": "pods", "all_namespaces": true, "count_by": "images"}},
	{kubernetes, "Show me the database password.", "k8s_get_resource_yaml",
		map[string]any{"resource_type": "secret", "resource_name": "orders-db", "namespace": "shop"}},
	{kubernetes, "Could you delete a pod if you wanted to?", "k8s_check_access",
		map[string]any{"verb": "delete", "resource_type": "pods", "namespace": "shop"}},
}

// anyQuestions fit every cluster. They only read.
var anyQuestions = []question{
	{kubernetes, "What is broken right now?", "k8s_cluster_health", map[string]any{}},
	{kubernetes, "What changed in the last hour?", "k8s_list_changes", map[string]any{"since": "1h"}},
	{kubernetes, "Which images run where?", "k8s_get_resources",
		map[string]any{"resource_type": "pods", "all_namespaces": true, "count_by": "images", "limit": 20}},
	{kubernetes, "What kind of cluster is this?", "k8s_get_cluster_configuration", map[string]any{}},
}

// alertQuestions fit what testbed/monitoring watches.
var alertQuestions = []question{
	{prometheus, "What fires?", "prometheus_alerts", map[string]any{}},
	{prometheus, "Why does QueueFull fire?", "prometheus_explain_alert", map[string]any{"name": "QueueFull"}},
	{prometheus, "Who is told about it?", "alertmanager_explain_route", map[string]any{"labels": map[string]any{"alertname": "QueueFull"}}},
	{prometheus, "Which route of the shop got slower?", "prometheus_compare", map[string]any{"query": "shop_latency_seconds", "offset": "1d"}},
}

// releaseQuestions fit the shop's release, storefront.
var releaseQuestions = []question{
	{helm, "Which releases are there?", "helm_list_releases", map[string]any{"namespace": "shop"}},
	{helm, "What did the last upgrade of storefront change?", "helm_diff_release", map[string]any{"name": "storefront", "namespace": "shop"}},
	{helm, "Has somebody changed it by hand?", "helm_check_drift", map[string]any{"name": "storefront", "namespace": "shop"}},
	{helm, "Show me its admin password.", "helm_get_release", map[string]any{"name": "storefront", "namespace": "shop", "what": "values"}},
}
