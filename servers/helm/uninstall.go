package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var uninstall = mcpkit.Tool{
	Name:        "helm_uninstall",
	Title:       "Uninstall a release",
	Description: "Removes a release with its objects and waits until they are gone. To go back to an earlier revision use helm_rollback.",
	Narrow:      "helm_get_release shows what is there",
	Rules:       writeRules,
	Timeout:     callLimit,
}

type UninstallIn struct {
	Release
	KeepHistory bool            `json:"keep_history,omitempty" jsonschema:"leave the records, so that helm_rollback can bring it back"`
	Wait        *bool           `json:"wait,omitempty" jsonschema:"until all objects are gone; true if absent"`
	Timeout     mcpkit.Duration `json:"timeout,omitempty" jsonschema:"for everything, hooks included; 5m if absent, never more than a call may take"`
}

func (b *Backend) planUninstall(ctx context.Context, in UninstallIn) (mcpkit.Plan, error) {
	w, err := b.openExisting(ctx, in.Release, removing)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if err := w.unpend(b, true); err != nil {
		return mcpkit.Plan{}, err
	}
	last := w.history[0]
	w.limit, w.before, w.revision = time.Duration(in.Timeout), last, last.Version
	gone := last.Info.Status == release.StatusUninstalled
	if gone {
		w.before = nil
	}
	if err := b.try(ctx, w); err != nil {
		return mcpkit.Plan{}, err
	}
	w.act = func(cfg *action.Configuration, _ bool) (*release.Release, error) {
		a := action.NewUninstall(cfg)
		a.KeepHistory, a.Wait = in.KeepHistory, in.Wait == nil || *in.Wait
		_, err := a.Run(w.Name)
		return nil, err
	}
	switch {
	case gone && in.KeepHistory:
		return w.plan(ctx), nil
	case !in.KeepHistory:
		w.lines = append(w.lines, "- the records of "+plural(len(w.history), "revision")+", so that nothing can bring it back")
	default:
		w.lines = append(w.lines, fmt.Sprintf("~ revision %d: %s -> uninstalled; its records stay", last.Version, last.Info.Status))
	}
	if !gone {
		w.notes = append(w.notes, hookNotes(last, release.HookPreDelete, release.HookPostDelete)...)
		w.notes = append(w.notes, b.survivors(ctx, w)...)
	}
	w.describe()
	return w.plan(ctx), nil
}

// survivors are what an uninstall leaves behind.
func (b *Backend) survivors(ctx context.Context, w *write) []string {
	var notes, crds []string
	for _, f := range w.before.Chart.Files {
		if strings.HasPrefix(f.Name, "crds/") {
			crds = append(crds, f.Name)
		}
	}
	if len(crds) > 0 {
		notes = append(notes, "the CRDs of "+strings.Join(firstLines(crds, linesShown), ", ")+" stay, with all their objects of any release: Helm never deletes them")
	}
	var claims []string
	for _, s := range w.steps {
		if kindOf(s.info) == "StatefulSet" && s.live != nil {
			claims = append(claims, b.claimsOf(ctx, s.live)...)
		}
	}
	if len(claims) > 0 {
		notes = append(notes, "these claims of its stateful sets stay, with their data: "+strings.Join(firstLines(claims, linesShown), ", "))
	}
	return notes
}

// claimsOf are the claims that a stateful set made for its pods.
func (b *Backend) claimsOf(ctx context.Context, set *unstructured.Unstructured) []string {
	templates, _, _ := unstructured.NestedSlice(set.Object, "spec", "volumeClaimTemplates")
	policy, _, _ := unstructured.NestedString(set.Object, "spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted")
	if len(templates) == 0 || policy == "Delete" {
		return nil
	}
	c, err := b.open()
	if err != nil {
		return nil
	}
	list, err := c.typed.CoreV1().PersistentVolumeClaims(set.GetNamespace()).List(ctx, metav1.ListOptions{})
	if err != nil {
		return []string{"those of " + set.GetName() + " (not looked at: " + said(translate(err, "list claims")) + ")"}
	}
	var out []string
	for _, t := range templates {
		name, _, _ := unstructured.NestedString(t.(map[string]any), "metadata", "name")
		for _, claim := range list.Items {
			if strings.HasPrefix(claim.Name, name+"-"+set.GetName()+"-") {
				out = append(out, claim.Name)
			}
		}
	}
	slices.Sort(out)
	return out
}
