package helm

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/release"
	helmtime "helm.sh/helm/v3/pkg/time"
)

func TestRollbackGoesBackToWhatWasDeployed(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	done(t, "helm_install", labIn(ns, "{}"))
	done(t, "helm_upgrade", labIn(ns, "{note: second, maps: 2}"))
	b := granted(t, "", rollback.Rules...)
	no := &person{Says: "decline"}
	args := map[string]any{"name": "lab", "namespace": ns}
	require.Empty(t, written(t, b, func() { writing(t, b, no).Call("helm_rollback", args) }))
	for _, part := range []string{"~ back to what revision 1 was: chart lab 1.0.0 -> lab 1.0.0", "- ConfigMap/lab-1", "~ data.note: second -> first"} {
		require.Contains(t, no.Asked[0], part)
	}
	a := writing(t, b, &person{Says: "accept"}).Call("helm_rollback", args)
	require.False(t, a.IsError, a.Text)
	require.Equal(t, []string{"1 superseded", "2 superseded", "3 deployed"}, revisions(t, ns, "lab"))
	require.Equal(t, []string{"configmap/lab-0"}, objects(t, ns))
	require.Contains(t, helm3(t).run(t, "history", "lab", "-n", ns), "Rollback to 1")
	require.Contains(t, refused(t, b, "helm_rollback", map[string]any{"name": "lab", "namespace": ns, "revision": 9}),
		"not_found: release \"lab\" in namespace \""+ns+"\" has no revision 9; earlier ones are 2 (superseded), 1 (superseded)")
	require.Contains(t, refused(t, b, "helm_rollback", map[string]any{"name": "lap", "namespace": ns}), "the nearest names are lab")
}

// abandon leaves a release as a helm that was killed during an upgrade does.
func abandon(t *testing.T, ns string, age time.Duration) {
	t.Helper()
	done(t, "helm_install", labIn(ns, "{}"))
	last := *recorded(t, ns, "lab")[0]
	last.Version, last.Info = 2, &release.Info{Status: release.StatusPendingUpgrade, LastDeployed: helmtime.Time{Time: time.Now().Add(-age)}}
	last.Labels = nil
	require.NoError(t, newJournal(t.Context(), testClients(t), ns).store(nil).Create(&last))
}

func TestWritesOfAReleaseThatIsPending(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	abandon(t, ns, time.Minute)
	for _, tool := range []string{"helm_upgrade", "helm_rollback", "helm_uninstall"} {
		args := map[string]any{"name": "lab", "namespace": ns}
		if tool == "helm_upgrade" {
			args = labIn(ns, "note: x")
		}
		require.Contains(t, refused(t, admin(t), tool, args), "another operation is under way, or was killed", tool)
	}
	ns = namespace(t)
	abandon(t, ns, time.Hour)
	text := refused(t, admin(t), "helm_upgrade", labIn(ns, "note: x"))
	require.Regexp(t, `conflict: revision 2 of release "lab" in namespace "`+ns+`" has been pending-upgrade since \S+, written by helm-mcp: its operation was most likely killed`, text)
	require.Contains(t, text, "recover_pending=true")
	args := labIn(ns, "note: x")
	args["recover_pending"] = true
	asked, _ := done(t, "helm_upgrade", args)
	require.Contains(t, asked, "marked failed first")
	require.Equal(t, []string{"1 superseded", "2 failed", "3 deployed"}, revisions(t, ns, "lab"))

	ns = namespace(t)
	abandon(t, ns, time.Hour)
	done(t, "helm_rollback", map[string]any{"name": "lab", "namespace": ns})
	require.Equal(t, []string{"1 superseded", "2 failed", "3 deployed"}, revisions(t, ns, "lab"))
}

func TestUninstallSaysWhatGoesAndWhatStays(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	done(t, "helm_install", labIn(ns, "{keep: true, stateful: true}"))
	kubectl(t, "create", "-n", ns, "-f", writeFile(t, `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data-lab-0}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}`))
	b := granted(t, "", uninstall.Rules...)
	args := map[string]any{"name": "lab", "namespace": ns, "keep_history": true}
	no := &person{Says: "decline"}
	require.Empty(t, written(t, b, func() { writing(t, b, no).Call("helm_uninstall", args) }))
	for _, part := range []string{"~ revision 1: deployed -> uninstalled; its records stay", "- ConfigMap/lab-0", "- StatefulSet/lab",
		"these stay, by their resource policy, and belong to no release any more: ConfigMap/lab-kept", "these claims of its stateful sets stay, with their data: data-lab-0"} {
		require.Contains(t, no.Asked[0], part)
	}
	a := writing(t, b, &person{Says: "accept"}).Call("helm_uninstall", args)
	require.Contains(t, a.Text, "is uninstalled")
	require.Contains(t, a.Text, "kept: ConfigMap/lab-kept")
	require.Equal(t, []string{"1 uninstalled"}, revisions(t, ns, "lab"))
	require.Equal(t, []string{"configmap/lab-kept"}, objects(t, ns))
	_, answer := done(t, "helm_uninstall", args)
	require.Contains(t, answer, "nothing was written")

	done(t, "helm_rollback", map[string]any{"name": "lab", "namespace": ns, "revision": 1})
	require.Contains(t, helm3(t).run(t, "status", "lab", "-n", ns), "STATUS: deployed")
	delete(args, "keep_history")
	asked, _ := done(t, "helm_uninstall", args)
	require.Contains(t, asked, "- the records of 2 revisions, so that nothing can bring it back")
	require.Empty(t, revisions(t, ns, "lab"))
	require.Contains(t, refused(t, b, "helm_uninstall", args), "not_found: there is no release \"lab\"")
}

func TestUninstallWithoutTheRight(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	done(t, "helm_install", map[string]any{"name": "web", "namespace": ns, "chart": "shop/web", "version": "1.0.0"})
	text := refused(t, granted(t, "", noServices()...), "helm_uninstall", map[string]any{"name": "web", "namespace": ns})
	require.Contains(t, text, "denied: cannot uninstall")
	require.Contains(t, text, "- Service/web: services \"web\" is forbidden")
	require.Equal(t, []string{"1 deployed"}, revisions(t, ns, "web"))
	require.Len(t, objects(t, ns), 4)
}

func TestWritesKeepTheHistoryHelmKeeps(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), stocked(admin(t))
	for i := range maxHistory + 2 {
		plan, err := b.planUpgrade(t.Context(), UpgradeIn{Release: Release{"lab", ns}, ChartRef: ChartRef{Chart: "lab-1.0.0.tgz"}, Values: Values{"note": string(rune('a' + i))}})
		require.NoError(t, err)
		_, err = b.carryOut(t.Context(), plan)
		require.NoError(t, err)
	}
	require.Len(t, revisions(t, ns, "lab"), maxHistory)
}
