package helm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// stranger says whose object o is; nothing if it belongs to the release.
func stranger(o *unstructured.Unstructured, of Release) string {
	name, namespace := o.GetAnnotations()[releaseName], o.GetAnnotations()[releaseNamespace]
	switch {
	case name == of.Name && namespace == of.Namespace && o.GetLabels()["app.kubernetes.io/managed-by"] == "Helm":
		return ""
	case name == "":
		return "no release"
	}
	return Release{Name: name, Namespace: namespace}.String()
}

// keeper names the controller that brings an object about, besides Helm, and
// may undo what is done to it; nothing if there is none.
func keeper(o *unstructured.Unstructured) string {
	labels := o.GetLabels()
	for _, kind := range []string{"kustomize", "helm"} {
		if name := labels[kind+".toolkit.fluxcd.io/name"]; name != "" {
			what := map[string]string{"kustomize": "Kustomization", "helm": "HelmRelease"}[kind]
			return fmt.Sprintf("Flux (%s %s/%s)", what, labels[kind+".toolkit.fluxcd.io/namespace"], name)
		}
	}
	if id := o.GetAnnotations()["argocd.argoproj.io/tracking-id"]; id != "" {
		app, _, _ := strings.Cut(id, ":")
		return "Argo CD (application " + app + ")"
	}
	if app := labels["argocd.argoproj.io/instance"]; app != "" {
		return "Argo CD (application " + app + ")"
	}
	return ""
}

// kept is the caution that other controllers keep some of the objects.
func kept(steps []*trial) []string {
	var keepers, notes []string
	for _, s := range steps {
		if s.live == nil {
			continue
		}
		if k := keeper(s.live); k != "" && !slices.Contains(keepers, k) {
			keepers = append(keepers, k)
			notes = append(notes, fmt.Sprintf("%s is managed by %s, which may undo this: the change belongs where it reads from", s, k))
		}
	}
	return notes
}

// obstacles says everything that stands in the way of a write at once.
func obstacles(what string, steps []*trial) error {
	var foreign, refused []string
	kind := mcpkit.Invalid
	for _, s := range steps {
		switch {
		case s.foreign != "":
			foreign = append(foreign, fmt.Sprintf("%s belongs to %s", s, s.foreign))
		case s.refused != nil:
			if apierrors.IsForbidden(s.refused) && locks.Refused(s.refused) { // and not a quota or an admission policy
				kind = mcpkit.Denied
			}
			refused = append(refused, fmt.Sprintf("%s: %s", s, clientgo.Message(s.refused)))
		}
	}
	switch {
	case len(foreign) > 0:
		return mcpkit.Errorf(mcpkit.Conflict, "cannot %s, and nothing was changed. These objects of the chart exist already and are not of this release:\n- %s\nInstall under another name or into another namespace, or have a person delete or hand over those objects",
			what, strings.Join(firstLines(foreign, linesShown), "\n- "))
	case kind == mcpkit.Denied:
		return mcpkit.Errorf(kind, "cannot %s, and nothing was changed. The cluster refuses these objects:\n- %s\nA person must grant what is missing; do not look for a way around", what, strings.Join(firstLines(refused, linesShown), "\n- "))
	case len(refused) > 0:
		return mcpkit.Errorf(kind, "cannot %s, and nothing was changed. The API server would refuse these objects:\n- %s%s", what, strings.Join(firstLines(refused, linesShown), "\n- "), immutableHint(refused))
	}
	return nil
}

// immutableHint says what helps when a field cannot be changed in place.
func immutableHint(refused []string) string {
	if !slices.ContainsFunc(refused, func(r string) bool { return strings.Contains(r, "immutable") || strings.Contains(r, "are forbidden") }) {
		return ""
	}
	return "\nA field that cannot be changed in place needs the object deleted first, so that the upgrade creates it anew; what it serves is interrupted"
}

// linesShown is how many objects a refusal or a note names.
const linesShown = 30

// firstLines is the beginning of a list, saying how many more there are.
func firstLines(lines []string, most int) []string {
	if len(lines) <= most {
		return lines
	}
	return append(lines[:most:most], fmt.Sprintf("… %d more", len(lines)-most))
}
