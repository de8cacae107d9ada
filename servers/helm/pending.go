package helm

import (
	"fmt"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// busy reports whether a revision is in the middle of an operation.
func busy(r *release.Release) bool {
	return r.Info.Status.IsPending() || r.Info.Status == release.StatusUninstalling
}

// unpend sees to a last revision that is in the middle of an operation: that is
// a conflict, unless the operation was abandoned and may be taken for failed.
func (w *write) unpend(b *Backend, recover bool) error {
	if len(w.history) == 0 || !busy(w.history[0]) {
		return nil
	}
	last := w.history[0]
	began := last.Info.LastDeployed.Time
	if last.Info.Status == release.StatusUninstalling {
		began = last.Info.Deleted.Time
	}
	age := b.now().Sub(began)
	says := fmt.Sprintf("revision %d of %s has been %s since %s%s", last.Version, w.Release, last.Info.Status, stamp(began), w.operator(last))
	switch {
	case age < freshPending:
		return mcpkit.Errorf(mcpkit.Conflict, "%s: another operation is under way, or was killed. Nothing was changed. Wait for it; once it is %s old it can be taken for abandoned", says, freshPending)
	case !recover:
		return mcpkit.Errorf(mcpkit.Conflict, "%s: its operation was most likely killed. Nothing was changed. If nobody runs it any more, call helm_upgrade with recover_pending=true, which marks that revision failed first; or go back with helm_rollback, or remove all with helm_uninstall, which do the same", says)
	}
	w.stuck, w.journal.stuck = last, last.Version
	w.notes = append(w.notes, says+", so it is taken for abandoned and marked failed first. If somebody still runs it, decline")
	return nil
}

// operator names who wrote a revision last, as far as its Secret tells.
func (w *write) operator(r *release.Release) string {
	var by string
	var at metav1.Time
	for _, m := range w.journal.writers(recordName(r)) {
		if m.Time != nil && !m.Time.Before(&at) {
			by, at = m.Manager, *m.Time
		}
	}
	if by == "" {
		return ""
	}
	return ", written by " + by
}

// recordName is the name of a revision's Secret.
func recordName(r *release.Release) string {
	return fmt.Sprintf("sh.helm.release.v1.%s.v%d", r.Name, r.Version)
}
