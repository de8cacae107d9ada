package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var exemplars = mcpkit.Tool{
	Name:        "prometheus_exemplars",
	Title:       "Exemplars",
	Description: "Trace ids behind the series of a query, largest values first: from a slow bucket to its trace.",
	Narrow:      "give a shorter window or a narrower selector, or lower limit",
}

type ExemplarsIn struct {
	Query string      `json:"query" jsonschema:"PromQL whose selectors are looked at"`
	Start mcpkit.When `json:"start,omitzero" jsonschema:"1h ago if absent"`
	End   mcpkit.When `json:"end,omitzero" jsonschema:"now if absent"`
	Limit int         `json:"limit,omitempty" jsonschema:"20 if absent"`
}

func (ExemplarsIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type ExemplarsOut struct {
	Summary string `json:"summary" jsonschema:"how many there are, or why there may be none"`
	Same    string `json:"same,omitempty" jsonschema:"labels that all series share"`
	mcpkit.Left
	Exemplars mcpkit.Table `json:"exemplars" jsonschema:"largest value first"`
}

func (b *Backend) exemplars(ctx context.Context, in ExemplarsIn) (ExemplarsOut, error) {
	c, err := b.prometheus()
	if err != nil {
		return ExemplarsOut{}, err
	}
	if _, err := b.parse(in.Query); err != nil {
		return ExemplarsOut{}, err
	}
	start, end, err := b.window(in.Start, in.End, time.Hour)
	if err != nil {
		return ExemplarsOut{}, err
	}
	found, err := c.QueryExemplars(ctx, in.Query, start, end)
	if err != nil {
		return ExemplarsOut{}, translate(err, "list exemplars")
	}
	type exemplar struct {
		series model.Metric
		promv1.Exemplar
	}
	var all []exemplar
	for _, s := range found {
		for _, e := range s.Exemplars {
			all = append(all, exemplar{model.Metric(s.SeriesLabels), e})
		}
	}
	if len(all) == 0 {
		return ExemplarsOut{Summary: b.noExemplars(ctx, c, len(found)), Exemplars: mcpkit.Table{Columns: []string{"series"}, Rows: [][]string{}}}, nil
	}
	slices.SortStableFunc(all, func(x, y exemplar) int {
		return cmp.Or(cmp.Compare(y.Value, x.Value), cmp.Compare(y.Timestamp, x.Timestamp))
	})
	var series []model.Metric
	var cells [][]string
	for _, e := range all {
		series = append(series, e.series)
		cells = append(cells, []string{number(e.Value), instant(e.Timestamp.Time()), exemplarLabels(e.Labels)})
	}
	out := ExemplarsOut{Summary: fmt.Sprintf("%s of %d series", counted(len(all), "exemplar"), len(found))}
	out.Same, out.Exemplars = tabulate(series, []string{"value", "time", "labels"}, cells)
	out.Left, out.Exemplars.Rows = firstRows(out.Exemplars.Rows, cmp.Or(in.Limit, 20), "exemplars")
	return out, nil
}

// exemplarLabels writes the labels of an exemplar, mostly one that names a trace.
func exemplarLabels(l model.LabelSet) string {
	var parts []string
	for name, value := range l {
		parts = append(parts, string(name)+"="+strconv.Quote(string(value)))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// noExemplars says why there may be none. That the storage is off is known
// where the flags are told.
func (b *Backend) noExemplars(ctx context.Context, c *client, series int) string {
	flags, err := c.Flags(ctx)
	if features, ok := flags["enable-feature"]; err == nil && ok && !strings.Contains(features, "exemplar-storage") {
		return "none: this Prometheus keeps no exemplars. It does when started with --enable-feature=exemplar-storage"
	}
	if series > 0 {
		return "none in this window, though the series have had some; give an earlier start"
	}
	return "none: no series of this query has exemplars in the window. They come with histogram buckets and counters, such as x_bucket, of programs that attach them"
}

// window reads the ends of a window, which is as long as usual if start is
// absent, and ends now if end is.
func (b *Backend) window(start, end mcpkit.When, usual time.Duration) (from, to time.Time, err error) {
	now := b.now()
	to = now
	if !end.IsZero() {
		to = end.Time(now)
	}
	from = to.Add(-usual)
	if !start.IsZero() {
		from = start.Time(now)
	}
	if !from.Before(to) {
		return from, to, mcpkit.Errorf(mcpkit.Invalid, "the window ends at %s, which is not after its start at %s", utc(to), utc(from))
	}
	return from, to, nil
}
