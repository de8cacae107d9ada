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
	cells, histograms, gaps := make([][]string, len(m)), false, 0
	for i, s := range m {
		cells[i] = summarise(s, r.Step)
		histograms = histograms || len(s.Histograms) > 0
		if samples := timeline(s); len(samples) > 1 && len(samples) < pointsOf(samples[len(samples)-1].at.Sub(samples[0].at), r.Step) {
			gaps++
		}
	}
	if gaps > 0 {
		o.Notes = append(o.Notes, fmt.Sprintf("%d series have gaps", gaps))
	}
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
	if points := pointsTable(m); room(points) <= pointsRoom {
		o.Points = points
	}
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

// pointsTable has a column for each series, numbered as the rows of the
// summary, and a row for each time at which one of them changes.
func pointsTable(m model.Matrix) mcpkit.Table {
	rows := map[time.Time][]string{}
	t := mcpkit.Table{Columns: []string{"time"}, Rows: [][]string{}}
	for i, s := range m {
		t.Columns = append(t.Columns, fmt.Sprintf("#%d", i+1))
		for _, p := range timeline(s) {
			if rows[p.at] == nil {
				rows[p.at] = make([]string, len(m))
			}
			rows[p.at][i] = p.text
		}
	}
	if len(m) == 1 {
		t.Columns[1] = "value"
	}
	var times []time.Time
	for at := range rows {
		times = append(times, at)
	}
	slices.SortFunc(times, time.Time.Compare)
	var before []string
	for _, at := range times {
		if !slices.Equal(rows[at], before) {
			t.Rows = append(t.Rows, append([]string{stamp(at)}, rows[at]...))
		}
		before = rows[at]
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
