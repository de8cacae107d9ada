// Package kubernetes is the MCP server for Kubernetes itself: its tools answer
// what an engineer on call would ask kubectl, in one call and few words.
//
// It refuses to shell out, to read a Secret's values, and to reach any API
// server but the one it was started for.
package kubernetes

import "github.com/toolcrib/toolcrib/mcpkit"

// Register adds every tool of this server to the crib.
func Register(ts *mcpkit.Toolset, b *Backend) {
	mcpkit.Read(ts, getResources, b.getResources)
	mcpkit.Read(ts, getResourceYAML, b.getResourceYAML)
	mcpkit.Read(ts, describeResource, b.describeResource)
	mcpkit.Read(ts, getPodLogs, b.getPodLogs)
	mcpkit.Read(ts, getEvents, b.getEvents)
	mcpkit.Read(ts, getAvailableAPIResources, b.getAvailableAPIResources)
	mcpkit.Read(ts, getClusterConfiguration, b.getClusterConfiguration)
	mcpkit.Read(ts, checkServiceConnectivity, b.checkServiceConnectivity)
	mcpkit.Read(ts, generateResource, b.generateResource)
	mcpkit.Read(ts, explainResource, b.explainResource)
	mcpkit.Read(ts, validateManifest, b.validateManifest)
	mcpkit.Read(ts, top, b.top)
	mcpkit.Read(ts, getRollout, b.getRollout)
	mcpkit.Read(ts, checkAccess, b.checkAccess)
	mcpkit.Read(ts, diagnose, b.diagnose)
	mcpkit.Read(ts, clusterHealth, b.clusterHealth)
	mcpkit.Read(ts, listChanges, b.listChanges)

	mcpkit.Write(ts, applyManifest, b.planApply, applied[ApplyManifestIn](b))
	mcpkit.Write(ts, createResource, b.planCreate, applied[CreateResourceIn](b))
	mcpkit.Destroy(ts, deleteResource, b.planDelete, applied[DeleteResourceIn](b))
	mcpkit.Write(ts, patchResource, b.planPatch, applied[PatchResourceIn](b))
	mcpkit.Write(ts, patchStatus, b.planPatchStatus, applied[PatchStatusIn](b))
	mcpkit.Write(ts, scale, b.planScale, applied[ScaleIn](b))
	mcpkit.Write(ts, actOnRollout, b.planRollout, applied[RolloutIn](b))
	mcpkit.Write(ts, labelResource, b.planLabel, applied[LabelResourceIn](b))
	mcpkit.Write(ts, removeLabel, b.planRemoveLabel, applied[RemoveLabelIn](b))
	mcpkit.Write(ts, annotateResource, b.planAnnotate, applied[AnnotateResourceIn](b))
	mcpkit.Write(ts, removeAnnotation, b.planRemoveAnnotation, applied[RemoveAnnotationIn](b))
	if len(b.cfg.AllowedURLHosts) > 0 {
		mcpkit.Write(ts, createResourceFromURL, b.planCreateFromURL, applied[CreateResourceFromURLIn](b))
	}
	mcpkit.Destroy(ts, executeCommand, b.planExec, b.exec)
	mcpkit.Write(ts, cordonNode, b.planCordon, applied[NodeIn](b))
	mcpkit.Write(ts, uncordonNode, b.planUncordon, applied[NodeIn](b))
	mcpkit.Destroy(ts, drainNode, b.planDrain, b.drain)
}
