// Package helm is the MCP server for Helm releases and charts: its tools answer
// what an engineer on call would ask the helm program, in one call and few
// words.
//
// It refuses to shell out, to print a secret value of a release, and to send
// credentials to a repository that the operator did not configure.
package helm

import "github.com/toolcrib/toolcrib/mcpkit"

// Register adds every tool of this server to the crib.
func Register(ts *mcpkit.Toolset, b *Backend) {
	mcpkit.Read(ts, listReleases, b.listReleases)
	mcpkit.Read(ts, getRelease, b.getRelease)
	mcpkit.Read(ts, getStatus, b.getStatus)
	mcpkit.Read(ts, getHistory, b.getHistory)
	mcpkit.Read(ts, diffRelease, b.diffRelease)
	mcpkit.Read(ts, checkDrift, b.checkDrift)
	mcpkit.Read(ts, template, b.template)
	mcpkit.Read(ts, showChart, b.showChart)
	mcpkit.Read(ts, searchCharts, b.searchCharts)
	mcpkit.Read(ts, listRepositories, b.listRepositories)

	mcpkit.Write(ts, installRelease, b.planInstall, applied[InstallIn](b))
	mcpkit.Write(ts, upgrade, b.planUpgrade, applied[UpgradeIn](b))
	mcpkit.Write(ts, rollback, b.planRollback, applied[RollbackIn](b))
	mcpkit.Destroy(ts, uninstall, b.planUninstall, applied[UninstallIn](b))
	mcpkit.Write(ts, repoUpdate, b.planRepoUpdate, b.repoUpdate)
	if len(b.cfg.AllowedHosts) > 0 {
		mcpkit.Write(ts, repoAdd, b.planRepoAdd, b.repoAdd)
	}
}
