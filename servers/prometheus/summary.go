package prometheus

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// pointsRoom is how many bytes of an answer the points of all series may take
// before min, max, average, last and trend stand for them.
const pointsRoom = 6 << 10

// maxCells is how many points are looked at to see whether they fit.
const maxCells = 10_000

var summaryColumns = []string{"points", "min", "max", "max_at", "avg", "last", "trend"}

// show fills in a summary of each series, and its points where they fit.
func (o *QueryRangeOut) show(m model.Matrix, e evaluation, r promv1.Range) {
	o.Notes, o.Total = append(o.Notes, e.said...), e.total
	cells, histograms := make([][]string, len(m)), false
	for i, s := range m {
		cells[i] = summarise(s, r.Step)
		histograms = histograms || len(s.Histograms) > 0
	}
	o.Notes = append(o.Notes, absences(m, r)...)
	if histograms {
		o.Notes = append(o.Notes, "of native histograms, min, max, avg and trend are those of the average observation, sum/count")
	}
	if len(m) == 0 {
		return
	}
	o.Same, o.Series = tabulate(metricsOf(m), summaryColumns, cells)
	if len(m)*pointsOf(r.End.Sub(r.Start), r.Step) > maxCells {
		return
	}
	points := pointsTable(m, r)
	if room(points) > pointsRoom {
		return
	}
	if o.Points = points; len(points.Rows) < pointsOf(r.End.Sub(r.Start), r.Step) {
		o.Notes = append(o.Notes, "points has a row for each change, which holds until the next; - is no value")
	}
}

// absences says of how many series some points are missing: between others, or
// at the end.
func absences(m model.Matrix, r promv1.Range) []string {
	gaps, ended := 0, 0
	for _, s := range m {
		samples := timeline(s)
		if len(samples) == 0 {
			continue
		}
		first, last := samples[0].at, samples[len(samples)-1].at
		if len(samples) < pointsOf(last.Sub(first), r.Step) {
			gaps++
		}
		if last.Add(r.Step).Before(r.End) {
			ended++
		}
	}
	var out []string
	if gaps > 0 {
		out = append(out, fmt.Sprintf("gaps in %d of %d series", gaps, len(m)))
	}
	if ended > 0 {
		out = append(out, fmt.Sprintf("%d of %d series ended before the range did", ended, len(m)))
	}
	return out
}

// sample is one point of a series.
type sample struct {
	at    time.Time
	value float64 // of a native histogram, the average observation
	text  string
}

// timeline is a series' floats and native histograms in order of time.
func timeline(s *model.SampleStream) []sample {
	var out []sample
	for _, p := range s.Values {
		out = append(out, sample{p.Timestamp.Time(), float64(p.Value), number(p.Value)})
	}
	for _, p := range s.Histograms {
		out = append(out, sample{p.Timestamp.Time(), float64(p.Histogram.Sum / p.Histogram.Count), distribution(p.Histogram)})
	}
	if len(s.Values) > 0 && len(s.Histograms) > 0 {
		slices.SortFunc(out, func(a, b sample) int { return a.at.Compare(b.at) })
	}
	return out
}

// summarise is what a series was like: how many points, min, max and when, average, last, trend.
func summarise(s *model.SampleStream, step time.Duration) []string {
	samples := timeline(s)
	low, high, sum, n := math.NaN(), math.NaN(), 0.0, 0
	var highest time.Time
	for _, p := range samples {
		if math.IsNaN(p.value) {
			continue
		}
		n++
		sum += p.value
		if !(p.value >= low) {
			low = p.value
		}
		if !(p.value <= high) {
			high, highest = p.value, p.at
		}
	}
	if len(samples) == 0 {
		return []string{"0", "", "", "", "", "", ""}
	}
	points := fmt.Sprint(len(samples))
	if n < len(samples) {
		points += fmt.Sprintf(" (%d NaN)", len(samples)-n)
	}
	last, when := samples[len(samples)-1].text, ""
	if n > 0 && low != high {
		when = stamp(highest)
	}
	return []string{points, number(low), number(high), when, average(sum/float64(n), low, high), last, trend(samples)}
}

// average is rounded unless that takes it out of the values it is of.
func average(mean, low, high float64) string {
	short := rounded(mean)
	if f, err := strconv.ParseFloat(short, 64); err == nil && (f < low || f > high) {
		return number(min(max(mean, low), high))
	}
	return short
}

// stamp is a time of a range as short as it is exact enough: to the second.
func stamp(t time.Time) string { return t.UTC().Format("01-02 15:04:05") }

// flat is the least part by which a trend differs from none.
const flat = 0.02

// trend tells how the last quarter of a series differs from the first.
func trend(samples []sample) string {
	var values []float64
	for _, p := range samples {
		if !math.IsNaN(p.value) {
			values = append(values, p.value)
		}
	}
	if len(values) < 2 {
		return ""
	}
	quarter := max(1, len(values)/4)
	from, to := mean(values[:quarter]), mean(values[len(values)-quarter:])
	change := to - from
	switch {
	case math.IsNaN(change) || math.IsInf(change, 0):
		return ""
	case slices.Min(values) == slices.Max(values):
		return "constant"
	case math.Abs(change) <= flat*max(math.Abs(from), math.Abs(to)):
		return "flat"
	case from == 0 || (from < 0) != (to < 0):
		return fmt.Sprintf("%s -> %s", rounded(from), rounded(to))
	}
	return fmt.Sprintf("%s -> %s (%+.0f%%)", rounded(from), rounded(to), 100*change/math.Abs(from))
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

// absent stands for a value that is not there.
const absent = "-"

// pointsTable has a column for each series, numbered as the rows of the
// summary, and a row for each time at which one of them changes, comes or goes.
func pointsTable(m model.Matrix, r promv1.Range) mcpkit.Table {
	rows := map[int64][]string{} // by milliseconds
	t := mcpkit.Table{Columns: []string{"time"}, Rows: [][]string{}}
	none := slices.Repeat([]string{absent}, len(m))
	anchor := r.Start
	for i, s := range m {
		t.Columns = append(t.Columns, fmt.Sprintf("#%d", i+1))
		for _, p := range timeline(s) {
			anchor = p.at // Prometheus rounds the start
			if rows[p.at.UnixMilli()] == nil {
				rows[p.at.UnixMilli()] = slices.Clone(none)
			}
			rows[p.at.UnixMilli()][i] = p.text
		}
	}
	if len(m) == 1 {
		t.Columns[1] = "value"
	}
	before := none
	for at := anchor.Add(-anchor.Sub(r.Start) / r.Step * r.Step); !at.After(r.End.Add(time.Millisecond)); at = at.Add(r.Step) {
		row := rows[at.UnixMilli()]
		if row == nil {
			row = none
		}
		if !slices.Equal(row, before) {
			t.Rows = append(t.Rows, append([]string{stamp(at)}, row...))
		}
		before = row
	}
	return t
}

// room is how many bytes a table takes.
func room(t mcpkit.Table) int {
	n := 0
	for _, row := range t.Rows {
		n += len(strings.Join(row, " ")) + 1
	}
	return n
}
