package prometheus

import (
	"context"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var labelNames = mcpkit.Tool{
	Name:        "prometheus_label_names",
	Title:       "List label names",
	Description: "Label names of all or of selected series.",
	Narrow:      "select with match, search, or lower limit",
}

type LabelNamesIn struct {
	Scope
	Paging
}

func (LabelNamesIn) Constrain(p mcpkit.Properties) { limits(p) }

func (b *Backend) labelNames(ctx context.Context, in LabelNamesIn) (Page, error) {
	match, from, to, err := b.selectors(in.Scope)
	if err != nil {
		return Page{}, err
	}
	rows, notes, err := b.labelNamesOf(ctx, match, from, to)
	if err != nil {
		return Page{}, err
	}
	out := page([]string{"label"}, rows, in.Paging)
	out.Notes = append(notes, b.whyNoRows(ctx, len(rows), match, to)...)
	return out, nil
}
