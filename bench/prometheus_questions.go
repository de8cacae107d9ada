package bench

import "time"

// monitoringQuestion is a question to a Prometheus, with the fewest and shortest
// calls by which the official server gives the same facts. Its tools for rules,
// targets and alerts have no arguments.
type monitoringQuestion struct {
	question
	official []toolCall
}

const day = 24 * time.Hour

// monitoringQuestions are asked of the stack of testbed/monitoring.
var monitoringQuestions = []monitoringQuestion{
	{question{"Which targets are down, and why?", "prometheus_targets", nil,
		[]string{"broken", "down", "500"}},
		[]toolCall{allTargets}},
	{question{"What fires right now?", "prometheus_alerts", args{"state": "firing"},
		[]string{"QueueFull", "CoreDown", "CoreSlow", "orders", "critical"}},
		[]toolCall{allAlerts}},
	{question{"Why does QueueFull fire?", "prometheus_explain_alert", args{"name": "QueueFull"},
		[]string{"testbed_queue_length", "100", "250|2.5e+02", "orders", "firing"}},
		[]toolCall{allRules, instantly("testbed_queue_length")}},
	{question{"Which rule is broken, and why?", "prometheus_rules", nil,
		[]string{"broken:never", "found duplicate series"}},
		[]toolCall{allRules}},
	{question{"How long do requests take now, per route?", "prometheus_query", args{"query": "shop_latency_seconds"},
		[]string{"/cart", "0.1", "/pay", "0.8", "/search", "0.3"}},
		[]toolCall{instantly("shop_latency_seconds")}},
	{question{"How many requests a second, per route, over the day?", "prometheus_query", args{"query": "round(sum by (route) (rate(shop_requests_total[1d])))"},
		[]string{"/cart", "10", "/pay", "2", "/search", "5"}},
		[]toolCall{instantly("round(sum by (route) (rate(shop_requests_total[1d])))")}},
	{question{"How long do nine requests in ten take?", "prometheus_query", args{"query": "round(histogram_quantile(0.9, rate(testbed_request_duration_seconds_bucket[1m])), 0.1)"},
		[]string{"0.5"}},
		[]toolCall{instantly("round(histogram_quantile(0.9, rate(testbed_request_duration_seconds_bucket[1m])), 0.1)")}},
	{question{"How did latency go over the last hour?", "prometheus_query_range", args{"query": "shop_latency_seconds"},
		[]string{"/cart", "0.1", "/pay", "0.8", "/search", "0.3"}},
		[]toolCall{lately("shop_latency_seconds", time.Hour)}},
	{question{"How did latency go over the last day?", "prometheus_query_range", args{"query": "shop_latency_seconds", "start": "24h"},
		[]string{"/pay", "0.2", "0.8"}},
		[]toolCall{lately("shop_latency_seconds", day)}},
	{question{"How did latency go over 90 days?", "prometheus_query_range", args{"query": "shop_latency_seconds", "start": "90d"},
		[]string{"/pay", "0.2", "0.8"}},
		[]toolCall{lately("shop_latency_seconds", 90*day)}},
	{question{"When was the queue of orders long, in three days?", "prometheus_query_range", args{"query": "shop_queue_length", "start": "3d"},
		[]string{"orders", "0", "50"}},
		[]toolCall{lately("shop_queue_length", 3*day)}},
	{question{"Which five sessions are the longest?", "prometheus_query", args{"query": "topk(5, testbed_session_seconds)"},
		[]string{"user-19995", "user-19999", "19999"}},
		[]toolCall{instantly("topk(5, testbed_session_seconds)")}},
	{question{"How many sessions has each shard?", "prometheus_query", args{"query": "count by (shard) (testbed_session_seconds)"},
		[]string{"shard-00", "shard-19", "1000"}},
		[]toolCall{instantly("count by (shard) (testbed_session_seconds)")}},
	{question{"Which labels has shop_requests_total?", "prometheus_label_names", args{"match": []string{"shop_requests_total"}},
		[]string{"route", "job", "instance"}},
		[]toolCall{labelsOf("shop_requests_total")}},
	{question{"Which routes does the shop have?", "prometheus_label_values", args{"label": "route", "match": []string{"shop_requests_total"}},
		[]string{"/cart", "/pay", "/search"}},
		[]toolCall{valuesOf("route", "shop_requests_total")}},
	{question{"Which series does the shop have?", "prometheus_series", args{"match": []string{`{job="shop"}`}},
		[]string{"shop_requests_total", "/pay", "shop_queue_length", "shop_build_info", "1.5.0"}},
		[]toolCall{seriesOf(`{job="shop"}`)}},
	{question{"Which metrics tell of latency?", "prometheus_metric_metadata", args{"search": "latency"},
		[]string{"shop_latency_seconds", "gauge", "How long a request takes now."}},
		[]toolCall{valuesOf("__name__", `{__name__=~".*latency.*"}`), metadataOf("shop_latency_seconds")}},
	{question{"What has the most series?", "prometheus_tsdb_status", nil,
		[]string{"testbed_session_seconds", "20000"}},
		[]toolCall{storage}},
	{question{"Which trace shows a slow request?", "prometheus_exemplars", args{"query": "testbed_request_duration_seconds_bucket"},
		[]string{"slow-1", "0.7"}},
		[]toolCall{exemplarsOf("testbed_request_duration_seconds_bucket")}},
	{question{"Which route's latency moved since twelve hours ago?", "prometheus_compare", args{"query": "shop_latency_seconds", "window": "1h", "offset": "12h"},
		[]string{"/pay", "0.2", "0.8"}},
		[]toolCall{instantly("avg_over_time(shop_latency_seconds[1h] offset 12h)"), instantly("avg_over_time(shop_latency_seconds[1h])")}},
}
