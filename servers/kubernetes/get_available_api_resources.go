package kubernetes

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var getAvailableAPIResources = mcpkit.Tool{
	Name:        "k8s_get_available_api_resources",
	Title:       "List the API's resource types",
	Description: "Lists the resource types the cluster serves, those of add-ons (CRDs) first, and API groups that do not answer. For the fields of one type use k8s_explain_resource.",
	Narrow:      "select with group, name, verb or namespaced, or pass continue",
	Rules:       []mcpkit.Rule{readRule("apiregistration.k8s.io", "apiservices")}, // discovery is everybody's
}

type GetAvailableAPIResourcesIn struct {
	Group      string `json:"group,omitempty" jsonschema:"part of the API group; core for the core group"`
	Name       string `json:"name,omitempty" jsonschema:"part of a type's name, kind or short name"`
	Verb       string `json:"verb,omitempty" jsonschema:"types that offer it, such as create"`
	Namespaced *bool  `json:"namespaced,omitempty" jsonschema:"false for cluster-wide types"`
	Continue   string `json:"continue,omitempty" jsonschema:"from the last answer"`
}

type GetAvailableAPIResourcesOut struct {
	NotAnswering []string `json:"not_answering,omitempty" jsonschema:"API groups whose server does not answer, and why"`
	Total        int      `json:"total" jsonschema:"types that match"`
	mcpkit.Left
	mcpkit.Table

	from int
}

// ResumeAt is the continue token of the first row that was not kept.
func (o GetAvailableAPIResourcesOut) ResumeAt(kept int) string { return strconv.Itoa(o.from + kept) }

func (b *Backend) getAvailableAPIResources(ctx context.Context, in GetAvailableAPIResourcesIn) (GetAvailableAPIResourcesOut, error) {
	from := 0
	if in.Continue != "" {
		var err error
		if from, err = strconv.Atoi(in.Continue); err != nil || from < 0 {
			return GetAvailableAPIResourcesOut{}, mcpkit.Errorf(mcpkit.Invalid, "continue is not a token of an earlier answer; leave it out to start again")
		}
	}
	all, broken, err := b.allTypes(ctx, true)
	if err != nil {
		return GetAvailableAPIResourcesOut{}, err
	}
	types := in.selected(all)
	if byName := (GetAvailableAPIResourcesIn{Name: in.Name}); len(byName.selected(all)) == 0 {
		return GetAvailableAPIResourcesOut{}, unknownType(in.Name, all, broken)
	}
	out := GetAvailableAPIResourcesOut{
		NotAnswering: b.whyBroken(ctx, broken), Total: len(types), from: from,
		Table: mcpkit.Table{Columns: []string{"name", "short_names", "kind", "api_version", "namespaced", "verbs"}, Rows: [][]string{}},
	}
	for _, t := range types[min(from, len(types)):] {
		out.Rows = append(out.Rows, []string{t.Resource, strings.Join(t.ShortNames, ","), t.Kind, versions(t, all), strconv.FormatBool(t.Namespaced), offeredVerbs(t)})
	}
	return out, nil
}

// selected are the types that match, each once, those of add-ons first: a model
// knows the built-in ones by heart.
func (in GetAvailableAPIResourcesIn) selected(all []resourceType) []resourceType {
	var out []resourceType
	seen := map[schema.GroupResource]bool{}
	for _, t := range all {
		if !seen[t.GroupResource()] && in.matches(t) {
			out = append(out, t)
		}
		seen[t.GroupResource()] = true
	}
	slices.SortStableFunc(out, func(a, b resourceType) int {
		addOn := func(t resourceType) int {
			if groupRank(t.GroupVersion().String()) == addOnGroup {
				return 0
			}
			return 1
		}
		return cmp.Compare(addOn(a), addOn(b))
	})
	return out
}

func (in GetAvailableAPIResourcesIn) matches(t resourceType) bool {
	name := strings.ToLower(strings.TrimSpace(in.Name))
	named := strings.Contains(t.Resource, name) || strings.Contains(strings.ToLower(t.Kind), name) || slices.Contains(t.ShortNames, name)
	group := strings.Contains(t.Group, strings.ToLower(in.Group))
	if in.Group == "core" {
		group = t.Group == ""
	}
	return named && group && (in.Verb == "" || t.can(in.Verb)) && (in.Namespaced == nil || *in.Namespaced == t.Namespaced)
}

// versions is the type's preferred version in full, then the others it has.
func versions(t resourceType, all []resourceType) string {
	out := t.GroupVersion().String()
	for _, other := range all {
		if other.GroupResource() == t.GroupResource() && other.Version != t.Version {
			out += ", " + other.Version
		}
	}
	return out
}

// usualVerbs are what nearly every type offers.
var usualVerbs = []string{"create", "delete", "get", "list", "patch", "update"}

// offeredVerbs are what the type offers: usual, or those of the usual ones.
func offeredVerbs(t resourceType) string {
	var verbs []string
	for _, v := range usualVerbs {
		if t.can(v) {
			verbs = append(verbs, v)
		}
	}
	if len(verbs) == len(usualVerbs) {
		return "usual"
	}
	return strings.Join(verbs, ",")
}

// whyBroken gives each group version that does not answer the reason the API
// server's aggregator has for it. Not being allowed to read it costs the reason.
func (b *Backend) whyBroken(ctx context.Context, broken []string) []string {
	c, err := b.open()
	if err != nil || len(broken) == 0 {
		return broken
	}
	t := schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	var out []string
	for _, gv := range broken {
		group, version, _ := strings.Cut(gv, "/")
		if o, err := c.dynamic.Resource(t).Get(ctx, version+"."+group, metav1.GetOptions{}); err == nil {
			for _, condition := range maps(o.Object, "status", "conditions") {
				if message, _ := condition["message"].(string); condition["type"] == "Available" && condition["status"] != "True" {
					gv += ": " + message
				}
			}
		}
		out = append(out, gv)
	}
	return out
}
