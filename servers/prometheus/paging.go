package prometheus

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Scope are the arguments of tools that look into the index of series.
type Scope struct {
	Match []string    `json:"match,omitempty" jsonschema:"selectors of the series, such as up{job=\"web\"}; all if absent"`
	Start mcpkit.When `json:"start,omitzero" jsonschema:"1h ago if absent"`
	End   mcpkit.When `json:"end,omitzero" jsonschema:"now if absent"`
}

// Paging are the arguments of tools that list names a page at a time.
type Paging struct {
	Search   string `json:"search,omitempty" jsonschema:"part of it, in any case"`
	Limit    int    `json:"limit,omitempty" jsonschema:"most rows; 200 if absent"`
	Continue string `json:"continue,omitempty" jsonschema:"from the page before"`
}

// Page is one page of a table whose first column is sorted.
type Page struct {
	Total int      `json:"total" jsonschema:"rows on all pages"`
	Notes []string `json:"notes,omitempty" jsonschema:"Prometheus's own remarks, and what this backend cannot say"`
	mcpkit.Left
	mcpkit.Table
}

// ResumeAt continues after the last row kept.
func (p Page) ResumeAt(kept int) string {
	if kept == 0 {
		return ""
	}
	return p.Rows[kept-1][0]
}

const usualRows = 200

// limits bounds the limit of a page.
func limits(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(1000.0)
}

// selectors checks the selectors of a scope and returns them with their times.
func (b *Backend) selectors(s Scope) (match []string, from, to time.Time, err error) {
	for _, m := range s.Match {
		if _, err := b.parser.ParseMetricSelector(m); err != nil {
			return nil, from, to, mcpkit.Wrap(mcpkit.Invalid, err, `match is not a selector such as up{job="web"}: %s%s`, complaint(m, err), hint(m, err))
		}
	}
	to = b.moment(s.End)
	from = to.Add(-lookback)
	if !s.Start.IsZero() {
		from = b.moment(s.Start)
	}
	if from.After(to) {
		return nil, from, to, mcpkit.Errorf(mcpkit.Invalid, "start %s is after end %s; a duration such as 6h counts back from now", instant(from), instant(to))
	}
	return s.Match, from, to, nil
}

// page sorts rows by their first cell and cuts out those a search asks for.
func page(columns []string, rows [][]string, in Paging) Page {
	p := Page{Table: mcpkit.Table{Columns: columns, Rows: [][]string{}}}
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[0], b[0]) })
	rows = slices.DeleteFunc(rows, func(r []string) bool { return !contains(r[0], in.Search) })
	p.Total = len(rows)
	if in.Continue != "" {
		at, found := slices.BinarySearchFunc(rows, in.Continue, func(r []string, s string) int { return strings.Compare(r[0], s) })
		if found {
			at++
		}
		rows = rows[at:]
	}
	limit := in.Limit
	if limit == 0 {
		limit = usualRows
	}
	if len(rows) > limit {
		p.Truncated, p.LeftOut = true, fmt.Sprintf("%d of %d rows shown; search for a part of it, or continue", limit, p.Total)
		rows = rows[:limit]
		p.Continue = rows[limit-1][0]
	}
	p.Rows = append(p.Rows, rows...)
	return p
}

// contains reports whether a text has all the words of a search, in any case.
func contains(text, search string) bool {
	text = strings.ToLower(text)
	for _, word := range strings.Fields(strings.ToLower(search)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// list is what an index has of names or values, at most maxNames.
func (b *Backend) list(ctx context.Context, ask func(context.Context, *client) ([]string, promv1.Warnings, promv1.Infos, error), doing string) (rows [][]string, notes []string, err error) {
	c, err := b.prometheus()
	if err != nil {
		return nil, nil, err
	}
	t := tally{keep: maxNames + 1}
	found, warnings, infos, err := ask(withTally(ctx, &t), c)
	if err != nil {
		return nil, nil, translate(err, doing)
	}
	notes = said(warnings, infos)
	if len(found) > maxNames {
		found = found[:maxNames]
		notes = append(notes, fmt.Sprintf("only the first %d were looked at; select with match", maxNames))
	}
	for _, s := range found {
		rows = append(rows, []string{s})
	}
	return rows, notes, nil
}

func texts[T ~string](in []T) []string {
	out := make([]string, len(in))
	for i, s := range in {
		out[i] = string(s)
	}
	return out
}

// metricNames lists the names of the metrics in a scope.
func (b *Backend) metricNames(ctx context.Context, match []string, from, to time.Time) (rows [][]string, notes []string, err error) {
	return b.labelValuesOf(ctx, model.MetricNameLabel, match, from, to)
}

func (b *Backend) labelValuesOf(ctx context.Context, label string, match []string, from, to time.Time) (rows [][]string, notes []string, err error) {
	return b.list(ctx, func(ctx context.Context, c *client) ([]string, promv1.Warnings, promv1.Infos, error) {
		values, warnings, infos, err := c.LabelValues(ctx, inPath(label), match, from, to, promv1.WithLimit(maxNames+1))
		return texts(values), warnings, infos, err
	}, "list the values of "+label)
}

func (b *Backend) labelNamesOf(ctx context.Context, match []string, from, to time.Time) (rows [][]string, notes []string, err error) {
	return b.list(ctx, func(ctx context.Context, c *client) ([]string, promv1.Warnings, promv1.Infos, error) {
		names, warnings, infos, err := c.LabelNames(ctx, match, from, to, promv1.WithLimit(maxNames+1))
		return texts(names), warnings, infos, err
	}, "list label names")
}

// inPath is a label's name as a path of Prometheus's API takes it: escaped where
// it has other letters than names used to have, so that none leads to another
// endpoint.
func inPath(label string) string { return model.EscapeName(label, model.ValueEncodingEscaping) }
