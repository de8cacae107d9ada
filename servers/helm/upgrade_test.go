package helm

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// labIn are the arguments of a write of release lab.
func labIn(ns, values string) map[string]any {
	return map[string]any{"name": "lab", "namespace": ns, "chart": "lab-1.0.0.tgz", "values": values}
}

func TestUpgradeInstallsWhatIsAbsentUnlessToldNot(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	args := labIn(ns, "")
	args["install"] = false
	require.Contains(t, refused(t, admin(t), "helm_upgrade", args), "not_found: there is no release \"lab\"")
	asked, answer := done(t, "helm_upgrade", labIn(ns, "{}"))
	require.Contains(t, asked, "+ revision 1: ")
	require.Contains(t, answer, "deployed as revision 1")
}

func TestUpgradeShowsWhatChangesAndKeepsValues(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	done(t, "helm_install", labIn(ns, "{note: mine, maps: 2, password: NotForYourEyes-1}"))
	args := labIn(ns, "{maps: 3, password: NotForYourEyes-2}")
	args["chart"] = "lab-2.0.0.tgz"
	asked, answer := done(t, "helm_upgrade", args)
	for _, part := range []string{"~ revision 1 -> 2", "~ chart: lab 1.0.0 -> lab 2.0.0", "~ values.maps: 2 -> 3", "~ values.password: redacted:", "+ ConfigMap/lab-2\n",
		"Note: the chart's major version changes, 1.0.0 to 2.0.0"} {
		require.Contains(t, asked, part)
	}
	require.NotContains(t, asked+answer, "NotForYourEyes")
	require.Equal(t, "mine", kubectl(t, "get", "configmap", "lab-2", "-n", ns, "-o", "jsonpath={.data.note}"))
	require.Contains(t, helm3(t).run(t, "history", "lab", "-n", ns), "lab-2.0.0")

	args = labIn(ns, "{maps: 1}")
	args["chart"], args["values_mode"] = "lab-2.0.0.tgz", "reset"
	asked, _ = done(t, "helm_upgrade", args)
	require.Contains(t, asked, "- values.note: mine")
	require.Contains(t, asked, "- ConfigMap/lab-1\n- ConfigMap/lab-2")
	require.Equal(t, []string{"configmap/lab-0"}, objects(t, ns))
	require.Equal(t, "first", kubectl(t, "get", "configmap", "lab-0", "-n", ns, "-o", "jsonpath={.data.note}"))

	args["values"], args["values_mode"] = "note: again", "reuse"
	asked, _ = done(t, "helm_upgrade", args)
	require.Contains(t, asked, "+ values.note: again")
	require.Equal(t, "again", kubectl(t, "get", "configmap", "lab-0", "-n", ns, "-o", "jsonpath={.data.note}"))
}

func TestUpgradeThatChangesNothingWritesNothing(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	done(t, "helm_install", labIn(ns, "{}"))
	asked, answer := done(t, "helm_upgrade", labIn(ns, "{}"))
	require.Empty(t, asked)
	require.Contains(t, answer, "nothing was written: the release is as asked already")
	require.Equal(t, []string{"1 deployed"}, revisions(t, ns, "lab"))

	kubectl(t, "patch", "configmap", "lab-0", "-n", ns, "-p", `{"data":{"note":"edited"}}`)
	asked, _ = done(t, "helm_upgrade", labIn(ns, "{}"))
	require.Contains(t, asked, "~ ConfigMap/lab-0: somebody changed it since; it is made as the chart has it")
	require.Equal(t, "first", kubectl(t, "get", "configmap", "lab-0", "-n", ns, "-o", "jsonpath={.data.note}"))
	kubectl(t, "delete", "configmap", "lab-0", "-n", ns)
	asked, _ = done(t, "helm_upgrade", labIn(ns, "{}"))
	require.Contains(t, asked, "+ ConfigMap/lab-0: it is gone and is created again")
	require.Equal(t, []string{"configmap/lab-0"}, objects(t, ns))
}

func TestUpgradeIsNotMadeOnAnotherRevisionThanPlanned(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), admin(t)
	done(t, "helm_install", labIn(ns, "{}"))
	p := &person{Says: "accept", First: func() { done(t, "helm_upgrade", labIn(ns, "note: theirs")) }}
	a := writing(t, b, p).Call("helm_upgrade", labIn(ns, "note: mine"))
	require.Contains(t, a.Text, "conflict: what this plan rests on changed")
	require.Equal(t, []string{"1 superseded", "2 deployed"}, revisions(t, ns, "lab"))

	// The same, once the gate is open.
	plan, err := stocked(b).planUpgrade(t.Context(), UpgradeIn{Release: Release{"lab", ns}, ChartRef: ChartRef{Chart: "lab-1.0.0.tgz"}, Values: Values{"note": "mine"}})
	require.NoError(t, err)
	done(t, "helm_upgrade", labIn(ns, "note: others"))
	_, err = b.carryOut(t.Context(), plan)
	requireKind(t, err, mcpkit.Conflict, "somebody else changed the release")
	require.Equal(t, []string{"1 superseded", "2 superseded", "3 deployed"}, revisions(t, ns, "lab"))
	require.Equal(t, "others", kubectl(t, "get", "configmap", "lab-0", "-n", ns, "-o", "jsonpath={.data.note}"))
}

func TestUpgradeRefusesAnotherRenderingThanPlanned(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), stocked(admin(t))
	done(t, "helm_install", labIn(ns, "{}"))
	plan, err := b.planUpgrade(t.Context(), UpgradeIn{Release: Release{"lab", ns}, ChartRef: ChartRef{Chart: "lab-1.0.0.tgz"}, Values: Values{"note": "mine"}})
	require.NoError(t, err)
	w := plan.State.(*write)
	w.outline.parts[0].(map[string]any)["data"].(map[string]any)["note"] = "as planned"
	_, err = b.carryOut(t.Context(), plan)
	requireKind(t, err, mcpkit.Conflict, "the chart renders something else now than in the plan")
	require.Equal(t, []string{"1 deployed"}, revisions(t, ns, "lab"))
}

func TestUpgradeOfOneReleaseByTwo(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), stocked(admin(t))
	done(t, "helm_install", labIn(ns, "{}"))
	var plans []mcpkit.Plan
	for i := range 2 {
		plan, err := b.planUpgrade(t.Context(), UpgradeIn{Release: Release{"lab", ns}, ChartRef: ChartRef{Chart: "lab-1.0.0.tgz"}, Values: Values{"note": fmt.Sprint(i)}})
		require.NoError(t, err)
		plans = append(plans, plan)
	}
	errs := make([]error, len(plans))
	var all sync.WaitGroup
	for i, plan := range plans {
		all.Go(func() { _, errs[i] = b.carryOut(t.Context(), plan) })
	}
	all.Wait()
	winner := 0
	if errs[0] != nil {
		winner = 1
	}
	require.NoError(t, errs[winner])
	requireKind(t, errs[1-winner], mcpkit.Conflict)
	require.Equal(t, []string{"1 superseded", "2 deployed"}, revisions(t, ns, "lab"))
	require.Equal(t, fmt.Sprint(winner), kubectl(t, "get", "configmap", "lab-0", "-n", ns, "-o", "jsonpath={.data.note}"))
}

func TestUpgradeOfWhatIsRenderedAtRandom(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	asked, _ := done(t, "helm_install", labIn(ns, "{random: true, clock: true}"))
	require.Contains(t, asked, "the chart renders these anew each time, so this approves whatever they turn out to be, and everything else as shown: ConfigMap/lab-clock data.rolled, Secret/lab-random stringData.password")
	asked, _ = done(t, "helm_upgrade", labIn(ns, "{note: second}"))
	require.Contains(t, asked, "~ stringData.user: redacted:")
	require.Equal(t, []string{"1 superseded", "2 deployed"}, revisions(t, ns, "lab"))
}

func TestUpgradeRefusesWhatTheAPIServerWould(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	done(t, "helm_install", labIn(ns, "{image: x, replicas: 0}"))
	text := refused(t, admin(t), "helm_upgrade", labIn(ns, "selector: other"))
	require.Contains(t, text, "invalid: cannot upgrade release \"lab\"")
	require.Contains(t, text, "- Deployment/lab: Deployment.apps \"lab\" is invalid: spec.selector: ")
	require.Contains(t, text, "field is immutable")
	require.Contains(t, text, "needs the object deleted first")
	require.Equal(t, []string{"1 deployed"}, revisions(t, ns, "lab"))
}

func TestUpgradePlanOfManyObjectsIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	done(t, "helm_install", labIn(ns, "{}"))
	p := &person{Says: "decline"}
	writing(t, admin(t), p).Call("helm_upgrade", labIn(ns, "maps: 200"))
	require.Len(t, p.Asked, 1)
	require.Less(t, len(p.Asked[0]), 10<<10)
	require.Contains(t, p.Asked[0], "+ values.maps: 200\nobjects: 199 added, 1 unchanged")
	require.Regexp(t, `… \d+ more lines are not shown, and approved all the same`, p.Asked[0])
}

func TestUpgradeSaysWhoElseHasAHandOnIt(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	done(t, "helm_install", labIn(ns, "{}"))
	kubectl(t, "label", "configmap", "lab-0", "-n", ns, "helm.toolkit.fluxcd.io/name=lab", "helm.toolkit.fluxcd.io/namespace=flux")
	p := &person{Says: "decline"}
	writing(t, admin(t), p).Call("helm_upgrade", labIn(ns, "note: x"))
	require.Contains(t, p.Asked[0], "ConfigMap/lab-0 is managed by Flux (HelmRelease flux/lab), which may undo this")
}

func TestUpgradeTakenBackOnFailure(t *testing.T) {
	t.Parallel()
	var ns string
	hurried(t, 6*time.Second, "it was rolled back to revision 1", func(_ string, limit time.Duration) string {
		ns = namespace(t)
		done(t, "helm_install", labIn(ns, "{}"))
		args := labIn(ns, "{note: second, image: 'registry.invalid/none:1'}")
		args["timeout"], args["rollback_on_failure"] = limit.String(), true
		return refused(t, admin(t), "helm_upgrade", args)
	})
	require.Equal(t, []string{"1 superseded", "2 failed", "3 deployed"}, revisions(t, ns, "lab"))
	require.Equal(t, []string{"configmap/lab-0"}, objects(t, ns))
	require.Equal(t, "first", kubectl(t, "get", "configmap", "lab-0", "-n", ns, "-o", "jsonpath={.data.note}"))
}

func TestWritesOfAReleaseOfHelm4(t *testing.T) {
	t.Parallel()
	ns, p := namespace(t), &person{Says: "accept"}
	helm4(t).put(t, ns, "web", "web", "1.0.0")
	s := writing(t, admin(t), p)
	web := map[string]any{"name": "web", "namespace": ns}
	a := s.Call("helm_upgrade", map[string]any{"name": "web", "namespace": ns, "chart": "shop/web", "version": "1.1.0"})
	require.False(t, a.IsError, a.Text)
	require.Contains(t, a.Text, "is deployed as revision 2")
	a = s.Call("helm_rollback", web)
	require.False(t, a.IsError, a.Text)
	require.Contains(t, a.Text, "is deployed as revision 3")
	require.Contains(t, reading(t).Call("helm_check_drift", web).Text, "objects: 4: 4 as stated")
	a = s.Call("helm_uninstall", web)
	require.False(t, a.IsError, a.Text)
	require.Contains(t, a.Text, "is uninstalled")
}
