package prometheus

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var compare = mcpkit.Tool{
	Name:        "prometheus_compare",
	Title:       "What moved",
	Description: "What moved most between two windows: averages a query over both, per series, with what appeared or is gone.",
	Narrow:      "aggregate with sum by (...), or lower limit",
}

type CompareIn struct {
	Query  string          `json:"query" jsonschema:"PromQL; rate(...) of counters"`
	Window mcpkit.Duration `json:"window,omitempty" jsonschema:"length of both; 1h if absent"`
	Offset mcpkit.Duration `json:"offset,omitempty" jsonschema:"how much earlier the other is, such as 1d; window if absent"`
	Start  mcpkit.When     `json:"start,omitzero" jsonschema:"of the later one, instead of window"`
	End    mcpkit.When     `json:"end,omitzero" jsonschema:"now if absent"`
	Sort   string          `json:"sort,omitempty"`
	Limit  int             `json:"limit,omitempty" jsonschema:"20 if absent"`
}

func (CompareIn) Constrain(p mcpkit.Properties) {
	p["sort"].Description, p["sort"].Enum = "absolute if absent", []any{"absolute", "relative"}
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type CompareOut struct {
	Summary string   `json:"summary" jsonschema:"what moved most, and the sum of all"`
	Before  string   `json:"before" jsonschema:"the earlier window"`
	After   string   `json:"after" jsonschema:"the later window"`
	Hints   []string `json:"hints,omitempty"`
	Same    string   `json:"same,omitempty" jsonschema:"labels that all series share"`
	mcpkit.Left
	Moved mcpkit.Table `json:"moved" jsonschema:"averages of both windows, what moved most first; series that did not move are left out"`
}

// maxCompared is how many series one comparison takes from each window.
const maxCompared = 20_000

// comparedPoints is at how many moments of a window an expression is evaluated.
const comparedPoints = 60

func (b *Backend) compare(ctx context.Context, in CompareIn) (CompareOut, error) {
	expr, err := b.parse(in.Query)
	if err != nil {
		return CompareOut{}, err
	}
	before, after, err := b.windows(in)
	if err != nil {
		return CompareOut{}, err
	}
	r := comparison{in: in, before: before, after: after}
	query, err := averaged(expr, after.length())
	if err != nil {
		return CompareOut{}, err
	}
	cost, tooMuch, err := b.guard(ctx, expr, after.end, comparedPoints)
	if err != nil {
		return CompareOut{}, err
	}
	if tooMuch {
		return CompareOut{}, mcpkit.Errorf(mcpkit.TooLarge, "to compare it Prometheus would read %s samples of each window (%s); aggregate less, select fewer series, or compare a recording rule", count(cost.samples()), strings.Join(cost.lines(), "; "))
	}
	var earlier, later evaluation
	err = mcpkit.Together(ctx, maxRequests, func(ctx context.Context) (err error) {
		earlier, err = b.evaluate(ctx, query, before.end, maxCompared)
		return err
	}, func(ctx context.Context) (err error) {
		later, err = b.evaluate(ctx, query, after.end, maxCompared)
		return err
	}, func(ctx context.Context) error {
		r.hints = b.lint(ctx, expr, after.end).mistakes(ctx)
		return nil
	})
	if err != nil {
		return CompareOut{}, err
	}
	r.match(earlier, later)
	return r.out(), nil
}

// stretch is a window of time.
type stretch struct{ start, end time.Time }

func (s stretch) length() time.Duration { return s.end.Sub(s.start) }

func (s stretch) String() string {
	return fmt.Sprintf("%s to %s (%s)", utc(s.start), utc(s.end), span(s.length()))
}

// windows are the two windows that a call compares.
func (b *Backend) windows(in CompareIn) (before, after stretch, err error) {
	length := cmp.Or(time.Duration(in.Window), time.Hour)
	if in.Window != 0 && !in.Start.IsZero() {
		return before, after, mcpkit.Errorf(mcpkit.Invalid, "give window or start, not both")
	}
	after.start, after.end, err = b.window(in.Start, in.End, length)
	if err != nil {
		return before, after, err
	}
	if after.length() < time.Second {
		return before, after, mcpkit.Errorf(mcpkit.Invalid, "a window of %s is too short to compare; give at least 1s", after.length())
	}
	offset := cmp.Or(time.Duration(in.Offset), after.length())
	return stretch{after.start.Add(-offset), after.end.Add(-offset)}, after, nil
}

// nameKept is the label under which a series' name comes through an average,
// which drops it: without it, series that differ in their name alone collide.
const nameKept = "__toolcrib_name__"

// averaged is an expression that averages expr over the window that ends when
// it is evaluated.
func averaged(expr parser.Expr, window time.Duration) (string, error) {
	text := expr.String()
	switch expr.Type() {
	case parser.ValueTypeVector:
	case parser.ValueTypeScalar:
		text = "vector(" + text + ")"
	default:
		return "", mcpkit.Errorf(mcpkit.Invalid, "only an instant vector or a scalar can be compared, and this is a %s; wrap it in a function such as rate(...)", parser.DocumentedType(expr.Type()))
	}
	step := max(window/comparedPoints, time.Second).Round(time.Second)
	return fmt.Sprintf(`avg_over_time(label_replace(%s, %q, "$1", "__name__", "(.+)")[%s:%s])`, text, nameKept, span(window), span(step)), nil
}

// movement is one series in both windows; NaN where it was not.
type movement struct {
	series        model.Metric
	before, after float64
}

func (m movement) change() float64 { return zeroed(m.after) - zeroed(m.before) }

// relative is the change as a part of what was before.
func (m movement) relative() float64 {
	if zeroed(m.before) == 0 {
		return math.Inf(cmp.Compare(m.change(), 0))
	}
	return m.change() / math.Abs(m.before)
}

func (m movement) note() string {
	switch {
	case math.IsNaN(m.before):
		return "appeared"
	case math.IsNaN(m.after):
		return "gone"
	case m.before == 0:
		return "was 0"
	}
	return sign(percentage(m.relative()*100)) + "%"
}

// percentage writes a percentage to three digits, or to all before the point where it has more.
func percentage(f float64) string {
	if math.Abs(f) >= 100 {
		return number(math.Round(f))
	}
	return rounded3(f)
}

func zeroed(f float64) float64 {
	if math.IsNaN(f) {
		return 0
	}
	return f
}

// sign writes a plus before what is positive.
func sign(number string) string {
	if strings.HasPrefix(number, "-") || number == "0" || number == "NaN" || strings.HasPrefix(number, "+") {
		return number
	}
	return "+" + number
}

// comparison is one call on its way.
type comparison struct {
	in            CompareIn
	before, after stretch
	hints         []string
	all           []movement
	more          bool // whether either window has more series than were read
	histograms    int  // left out, as are
	undefined     int  // averages that are no number
}

// match brings the series of both windows together by their labels.
func (r *comparison) match(earlier, later evaluation) {
	index := map[model.Fingerprint]int{}
	take := func(e evaluation, put func(*movement, float64)) {
		r.more = r.more || e.more
		vector, _ := e.value.(model.Vector)
		for _, s := range vector {
			if s.Histogram != nil {
				r.histograms++
				continue
			}
			if math.IsNaN(float64(s.Value)) {
				r.undefined++
				continue
			}
			key := s.Metric.Fingerprint()
			i, known := index[key]
			if !known {
				i = len(r.all)
				index[key], r.all = i, append(r.all, movement{named(s.Metric), math.NaN(), math.NaN()})
			}
			put(&r.all[i], float64(s.Value))
		}
	}
	take(earlier, func(m *movement, v float64) { m.before = v })
	take(later, func(m *movement, v float64) { m.after = v })
	size := func(m movement) float64 {
		if r.in.Sort == "relative" {
			return math.Abs(m.relative())
		}
		return math.Abs(m.change())
	}
	slices.SortStableFunc(r.all, func(x, y movement) int {
		return cmp.Or(cmp.Compare(size(y), size(x)), cmp.Compare(math.Abs(y.change()), math.Abs(x.change())), strings.Compare(x.series.String(), y.series.String()))
	})
}

// named gives a series its name back.
func named(m model.Metric) model.Metric {
	out := m.Clone()
	if name, ok := out[nameKept]; ok {
		delete(out, nameKept)
		out[model.MetricNameLabel] = name
	}
	return out
}

func (r *comparison) out() CompareOut {
	out := CompareOut{Before: r.before.String(), After: r.after.String(), Hints: slices.Concat(r.hints, r.leftOut())}
	moved := slices.DeleteFunc(slices.Clone(r.all), func(m movement) bool { return !m.moves() })
	out.Summary = r.summary(moved)
	out.Same, out.Moved = movedTable(moved)
	out.Left, out.Moved.Rows = firstRows(out.Moved.Rows, cmp.Or(r.in.Limit, 20), "series")
	return out
}

// leftOut says which series were not compared.
func (r *comparison) leftOut() []string {
	var out []string
	if r.more {
		out = append(out, fmt.Sprintf("there are more than %d series, and only so many were compared; aggregate with sum by (...)", maxCompared))
	}
	if r.histograms > 0 {
		out = append(out, fmt.Sprintf("%d native histograms cannot be compared as such; wrap the query in histogram_quantile, histogram_avg or histogram_count", r.histograms))
	}
	if r.undefined > 0 {
		out = append(out, fmt.Sprintf("%d averages are NaN, such as of 0/0, and were left out", r.undefined))
	}
	return out
}

func (r *comparison) summary(moved []movement) string {
	if len(r.all) == 0 {
		return "no series in either window"
	}
	text := fmt.Sprintf("%d of %d series moved", len(moved), len(r.all))
	if len(moved) > 0 {
		m := moved[0]
		text += fmt.Sprintf(", most of all %s: %s -> %s (%s)", selector(m.series), averageOf(m.before), averageOf(m.after), m.note())
	}
	if len(r.all) == 1 {
		return text
	}
	before, after, appeared, gone := 0.0, 0.0, 0, 0
	for _, m := range r.all {
		before, after = before+zeroed(m.before), after+zeroed(m.after)
		switch {
		case math.IsNaN(m.before):
			appeared++
		case math.IsNaN(m.after):
			gone++
		}
	}
	if appeared == len(r.all) {
		text = "nothing to compare with: the earlier window has no series, the later one " + strconv.Itoa(len(r.all))
	}
	return text + fmt.Sprintf(". %d appeared, %d gone. Sum of all: %s -> %s", appeared, gone, rounded(before), rounded(after))
}

// moves leaves out differences that averaging itself makes.
func (m movement) moves() bool {
	const least = 1e-9
	if math.IsNaN(m.before) || math.IsNaN(m.after) {
		return true
	}
	return m.before != m.after && !(math.Abs(m.change()) <= least*math.Max(math.Abs(m.before), math.Abs(m.after)))
}

func movedTable(moved []movement) (same string, t mcpkit.Table) {
	var series []model.Metric
	var cells [][]string
	for _, m := range moved {
		series = append(series, m.series)
		cells = append(cells, []string{averageOf(m.before), averageOf(m.after), sign(rounded(m.change())), m.note()})
	}
	return tabulate(series, []string{"before", "after", "change", "relative"}, cells)
}

// averageOf writes an average, or that there is none.
func averageOf(f float64) string {
	if math.IsNaN(f) {
		return "-"
	}
	return rounded(f)
}
