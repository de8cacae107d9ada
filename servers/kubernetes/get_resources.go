package kubernetes

import (
	"context"
	"fmt"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var getResources = mcpkit.Tool{
	Name:        "k8s_get_resources",
	Title:       "List Kubernetes objects",
	Description: "Lists objects of any type as a table, or counts them: count_by=\"images\" answers which images run. For why something is broken use k8s_diagnose, for one whole object k8s_get_resource_yaml.",
	Narrow:      "select with namespace, label_selector or field_selector, count with count_by, or pass continue for the next page",
	Rules:       readable,
}

type GetResourcesIn struct {
	ResourceType  string `json:"resource_type" jsonschema:"any type or short name: pods, deploy, widgets.example.com"`
	ResourceName  string `json:"resource_name,omitempty" jsonschema:"one object; all if absent"`
	Namespace     string `json:"namespace,omitempty" jsonschema:"default if absent"`
	AllNamespaces bool   `json:"all_namespaces,omitempty"`
	Selection
	Output   string   `json:"output,omitempty" jsonschema:"wide adds columns; names lists names alone"`
	Fields   []string `json:"fields,omitempty" jsonschema:"extra columns: images, restarts, reason, node, owner, labels, or JSONPath like .spec.replicas"`
	CountBy  string   `json:"count_by,omitempty" jsonschema:"count objects by one such field instead"`
	SortBy   string   `json:"sort_by,omitempty" jsonschema:"a column or field; -NAME for descending"`
	Limit    int      `json:"limit,omitempty" jsonschema:"most rows; 100 if absent"`
	Continue string   `json:"continue,omitempty" jsonschema:"from the last answer"`
}

func (GetResourcesIn) Constrain(p mcpkit.Properties) {
	p["all_namespaces"].Description = "every namespace"
	p["output"].Enum = []any{"table", "wide", "names"}
	p["fields"].MaxItems = new(20)
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(1000.0)
}

type GetResourcesOut struct {
	Total int64 `json:"total,omitempty" jsonschema:"how many match, where the API server says"`
	mcpkit.Left
	mcpkit.Table

	marks []pageMark
}

// ResumeAt is the continue token of the first row that was not kept.
func (o GetResourcesOut) ResumeAt(kept int) string { return resumeAt(o.marks, kept) }

func (b *Backend) getResources(ctx context.Context, in GetResourcesIn) (GetResourcesOut, error) {
	l, err := b.newListing(ctx, in)
	if err != nil {
		return GetResourcesOut{}, err
	}
	mcpkit.SetTarget(ctx, named(l.t.String(), l.namespace, in.ResourceName))
	switch {
	case in.ResourceName != "":
		err = l.one(ctx)
	case in.CountBy != "":
		err = l.count(ctx)
	default:
		err = l.list(ctx)
	}
	if err == nil && len(l.out.Rows) == 0 && l.namespace != "" {
		if in.Namespace == "" {
			l.out.LeftOut = fmt.Sprintf("only namespace %q was looked at; name another, or pass all_namespaces", l.namespace)
		}
		err = b.requireNamespace(ctx, l.namespace)
	}
	return l.out, err
}
