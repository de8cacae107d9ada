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
	"github.com/prometheus/prometheus/model/labels"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var tsdbStatus = mcpkit.Tool{
	Name:        "prometheus_tsdb_status",
	Title:       "Cardinality",
	Description: "What fills Prometheus: series in memory, the metrics and labels with most of them, which jobs make new ones, and what to do.",
	Narrow:      "lower limit",
}

type TSDBStatusIn struct {
	Limit int `json:"limit,omitempty" jsonschema:"most metrics and labels; 10 if absent"`
}

func (TSDBStatusIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(100.0)
}

type TSDBStatusOut struct {
	Findings  []string     `json:"findings" jsonschema:"what stands out and what to do about it"`
	Head      string       `json:"head,omitempty" jsonschema:"what is in memory"`
	Metrics   mcpkit.Table `json:"metrics,omitzero" jsonschema:"those with most series"`
	Labels    mcpkit.Table `json:"labels,omitzero" jsonschema:"those with most values"`
	Pairs     mcpkit.Table `json:"pairs,omitzero" jsonschema:"label values on most series"`
	Churn     mcpkit.Table `json:"churn,omitzero" jsonschema:"series that each job made in the last hour"`
	NotLooked []string     `json:"not_looked_at,omitempty"`
	mcpkit.Left
}

func (b *Backend) tsdbStatus(ctx context.Context, in TSDBStatusIn) (TSDBStatusOut, error) {
	c, err := b.prometheus()
	if err != nil {
		return TSDBStatusOut{}, err
	}
	limit := cmp.Or(in.Limit, 10)
	var status promv1.TSDBResult
	var missing, failed error
	var churn []*model.Sample
	err = mcpkit.Together(ctx, maxRequests, func(ctx context.Context) error {
		var err error
		status, err = c.TSDB(ctx, promv1.WithLimit(uint64(limit)))
		if missing = translate(err, "tell its cardinality"); isMissing(missing) {
			return nil
		}
		return missing
	}, func(ctx context.Context) error {
		churn, failed = b.churn(ctx)
		return ctx.Err()
	})
	if err != nil {
		return TSDBStatusOut{}, err
	}
	r := cardinality{b: b, status: status, churn: churn}
	if missing != nil {
		r.out.NotLooked = append(r.out.NotLooked, missing.(*mcpkit.Error).Text)
	} else if err := r.describeHead(ctx, limit); err != nil {
		return TSDBStatusOut{}, err
	}
	if failed != nil {
		r.out.NotLooked = append(r.out.NotLooked, "which jobs make new series: "+failed.Error())
	}
	r.describeChurn(limit)
	if len(r.out.Findings) == 0 {
		r.out.Findings = []string{"nothing stands out"}
	}
	return r.out, nil
}

// churn is how many new series each job made in the last hour: every scrape
// says how many it added.
func (b *Backend) churn(ctx context.Context) ([]*model.Sample, error) {
	const mostJobs = 1000
	e, err := b.evaluate(ctx, "sum by (job) (sum_over_time(scrape_series_added[1h])) > 0", b.now(), mostJobs)
	if err != nil {
		return nil, err
	}
	vector, _ := e.value.(model.Vector)
	slices.SortFunc(vector, func(x, y *model.Sample) int {
		return cmp.Or(cmp.Compare(y.Value, x.Value), strings.Compare(x.Metric.String(), y.Metric.String()))
	})
	return vector, nil
}

// cardinality is one call on its way.
type cardinality struct {
	b      *Backend
	status promv1.TSDBResult
	churn  []*model.Sample
	out    TSDBStatusOut
}

func (r *cardinality) describeHead(ctx context.Context, limit int) error {
	h := r.status.HeadStats
	r.out.Head = fmt.Sprintf("%s series, %s label pairs, %s chunks, samples from %s to %s", count(float64(h.NumSeries)), count(float64(h.NumLabelPairs)), count(float64(h.ChunkCount)),
		utc(time.UnixMilli(int64(h.MinTime))), utc(time.UnixMilli(int64(h.MaxTime))))
	total := float64(max(h.NumSeries, 1))
	r.out.Metrics = mcpkit.Table{Columns: []string{"metric", "series", "share"}, Rows: [][]string{}}
	for _, s := range r.status.SeriesCountByMetricName {
		r.out.Metrics.Rows = append(r.out.Metrics.Rows, []string{s.Name, strconv.FormatUint(s.Value, 10), percent(float64(s.Value) / total)})
	}
	r.out.Labels = mcpkit.Table{Columns: []string{"label", "values"}, Rows: [][]string{}}
	for _, s := range r.status.LabelValueCountByLabelName {
		r.out.Labels.Rows = append(r.out.Labels.Rows, []string{s.Name, strconv.FormatUint(s.Value, 10)})
	}
	r.out.Pairs = mcpkit.Table{Columns: []string{"label_value", "series"}, Rows: [][]string{}}
	for _, s := range r.status.SeriesCountByLabelValuePair {
		if !strings.HasPrefix(s.Name, model.MetricNameLabel+"=") { // those are the metrics above
			r.out.Pairs.Rows = append(r.out.Pairs.Rows, []string{s.Name, strconv.FormatUint(s.Value, 10)})
		}
	}
	if len(r.out.Metrics.Rows) == limit {
		r.out.Left = mcpkit.Left{Truncated: true, LeftOut: fmt.Sprintf("the %d largest of each are shown; raise limit for more", limit)}
	}
	return r.blame(ctx, total)
}

// blame names the metric that makes up much of all series, and the label that
// multiplies it.
func (r *cardinality) blame(ctx context.Context, total float64) error {
	const much = 0.2
	if len(r.status.SeriesCountByMetricName) == 0 {
		return nil
	}
	top := r.status.SeriesCountByMetricName[0]
	share := float64(top.Value) / total
	if share < much {
		return nil
	}
	label, values, err := r.multiplier(ctx, top.Name)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("%s has %d of %d series (%s)", top.Name, top.Value, r.status.HeadStats.NumSeries, percent(share))
	if values > 1 {
		text += fmt.Sprintf("; its label %s has %d values. Take that label out where the metric is made, or keep only what is asked for: metric_relabel_configs with action drop on the metric, or a recording rule that aggregates it and drops %s", label, values, label)
	}
	r.out.Findings = append(r.out.Findings, text)
	return nil
}

// multiplier is the label of a metric with most values, among the labels that
// have most values of all.
func (r *cardinality) multiplier(ctx context.Context, metric string) (label string, values int, err error) {
	const candidates = 3
	var names []string
	for _, s := range r.status.LabelValueCountByLabelName {
		if s.Name != model.MetricNameLabel && len(names) < candidates {
			names = append(names, s.Name)
		}
	}
	counts := make([]int, len(names))
	selector := matcherText([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, metric)})
	var steps []func(context.Context) error
	for i, name := range names {
		steps = append(steps, func(ctx context.Context) (err error) {
			counts[i], err = r.b.countValues(ctx, name, selector)
			return err
		})
	}
	err = mcpkit.Together(ctx, maxRequests, steps...)
	for i, n := range counts {
		if n > values {
			label, values = names[i], n
		}
	}
	return label, values, err
}

// countValues is how many values a label has on the series of a selector. The
// index alone tells; a query would read a sample of each series.
func (b *Backend) countValues(ctx context.Context, label, selector string) (int, error) {
	c, err := b.prometheus()
	if err != nil {
		return 0, err
	}
	var t tally // of values, none of which is kept
	now := b.now()
	_, _, _, err = c.LabelValues(withTally(ctx, &t), inPath(label), []string{selector}, now.Add(-lookback), now)
	return t.total, translate(err, "count the values of "+label)
}

// describeChurn says which jobs keep making series. A job that has begun within
// the hour made all of its series new, so only much more than that is a fault.
func (r *cardinality) describeChurn(limit int) {
	const times = 3
	r.out.Churn = mcpkit.Table{Columns: []string{"job", "new_series_1h"}, Rows: [][]string{}}
	for i, s := range r.churn {
		if i < limit {
			r.out.Churn.Rows = append(r.out.Churn.Rows, []string{string(s.Metric[model.JobLabel]), number(s.Value)})
		}
	}
	if len(r.churn) == 0 || r.status.HeadStats.NumSeries == 0 {
		return
	}
	if top := r.churn[0]; float64(top.Value) > times*float64(r.status.HeadStats.NumSeries) {
		r.out.Findings = append(r.out.Findings, fmt.Sprintf("job %s made %s new series in the last hour, over %d times what is in memory: a label of it changes its value all the time, such as an id, a pod or a version", top.Metric[model.JobLabel], count(float64(top.Value)), times))
	}
}

func percent(share float64) string { return strconv.FormatFloat(share*100, 'f', 1, 64) + "%" }
