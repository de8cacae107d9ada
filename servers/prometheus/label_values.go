package prometheus

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var labelValues = mcpkit.Tool{
	Name:        "prometheus_label_values",
	Title:       "List label values",
	Description: "Values of one label, in all or in selected series. For metric names prefer prometheus_metric_metadata.",
	Narrow:      "select with match, search, or lower limit",
}

type LabelValuesIn struct {
	Label string `json:"label"  jsonschema:"such as job"`
	Scope
	Paging
}

func (LabelValuesIn) Constrain(p mcpkit.Properties) { limits(p) }

func (b *Backend) labelValues(ctx context.Context, in LabelValuesIn) (Page, error) {
	match, from, to, err := b.selectors(in.Scope)
	if err != nil {
		return Page{}, err
	}
	if !model.UTF8Validation.IsValidLabelName(in.Label) {
		return Page{}, mcpkit.Errorf(mcpkit.Invalid, "label %q is not a label's name", in.Label)
	}
	rows, notes, err := b.labelValuesOf(ctx, in.Label, match, from, to)
	if err != nil {
		return Page{}, err
	}
	out := page([]string{"value"}, rows, in.Paging)
	out.Notes = notes
	if len(rows) > 0 {
		return out, nil
	}
	names, _, err := b.labelNamesOf(ctx, match, from, to)
	if err == nil && len(names) > 0 {
		var known []string
		for _, n := range names {
			known = append(known, n[0])
		}
		out.Notes = append(out.Notes, fmt.Sprintf("no such series has the label %s%s; their labels are %s", in.Label, nearest(in.Label, known), some(known)))
	} else {
		out.Notes = append(out.Notes, b.whyNoRows(ctx, 0, match, to)...)
	}
	return out, nil
}

// whyNoRows explains an empty list by the selectors it was asked for.
func (b *Backend) whyNoRows(ctx context.Context, rows int, match []string, at time.Time) []string {
	if rows > 0 || len(match) == 0 {
		return nil
	}
	var why []string
	for _, m := range match {
		if expr, err := b.parse(m); err == nil {
			why = append(why, b.whyEmpty(ctx, expr, costOf(expr, 1), b.atInstant(at))...)
		}
	}
	return []string{"no series: " + strings.Join(why, "; ")}
}
