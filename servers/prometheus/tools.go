// Package prometheus is the MCP server for Prometheus and its Alertmanager: its
// tools answer what an engineer on call would ask their consoles, in one call
// and few words.
//
// It refuses to reach any address but the two it was started for, to run a
// query whose answer nobody could read, and to print what a configuration keeps
// secret.
package prometheus

import "github.com/toolcrib/toolcrib/mcpkit"

// Register adds every tool of this server to the crib.
func Register(ts *mcpkit.Toolset, b *Backend) {
	mcpkit.Read(ts, query, b.query)
	mcpkit.Read(ts, queryRange, b.queryRange)
	mcpkit.Read(ts, labelNames, b.labelNames)
	mcpkit.Read(ts, labelValues, b.labelValues)
	mcpkit.Read(ts, series, b.series)
	mcpkit.Read(ts, metricMetadata, b.metricMetadata)
	mcpkit.Read(ts, explainQuery, b.explainQuery)
	mcpkit.Read(ts, targets, b.targets)
	mcpkit.Read(ts, rules, b.rules)
	mcpkit.Read(ts, alerts, b.alerts)
	mcpkit.Read(ts, tsdbStatus, b.tsdbStatus)
	mcpkit.Read(ts, exemplars, b.exemplars)
	mcpkit.Read(ts, explainAlert, b.explainAlert)
	mcpkit.Read(ts, backtestAlert, b.backtestAlert)
	mcpkit.Read(ts, compare, b.compare)
	mcpkit.Read(ts, alertmanagerAlerts, b.alertmanagerAlerts)
	mcpkit.Read(ts, silences, b.silences)
	mcpkit.Read(ts, explainRoute, b.explainRoute)
	mcpkit.Write(ts, createSilence, b.planCreateSilence, b.createSilence)
	mcpkit.Write(ts, expireSilence, b.planExpireSilence, b.expireSilence)
	mcpkit.Write(ts, reload, b.planReload, b.reload)
	b.cfg.Names.apply(ts)
}
