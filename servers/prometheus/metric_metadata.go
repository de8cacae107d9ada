package prometheus

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var metricMetadata = mcpkit.Tool{
	Name:        "prometheus_metric_metadata",
	Title:       "Search metrics",
	Description: "Searches metrics by words of their name or help: type, unit and help of each. Start here when the metric's name is not known.",
	Narrow:      "search for more words, or lower limit",
}

type MetricMetadataIn struct{ Paging }

func (MetricMetadataIn) Constrain(p mcpkit.Properties) {
	limits(p)
	p["search"].Description = "words of name or help, such as \"http duration\"; all metrics if absent"
}

// maxHelp is how much of a help text is shown.
const maxHelp = 120

func (b *Backend) metricMetadata(ctx context.Context, in MetricMetadataIn) (Page, error) {
	var told map[string][]promv1.Metadata
	var names [][]string
	var notes, said []string
	now := b.now()
	err := mcpkit.Together(ctx, maxRequests,
		func(ctx context.Context) (err error) {
			told, err = b.metadata(ctx, "")
			var known *mcpkit.Error
			if errors.As(err, &known) && known.Kind == mcpkit.NotFound {
				notes, err = append(notes, "this backend has no metadata, so type and help are not known"), nil
			}
			return err
		},
		func(ctx context.Context) (err error) {
			names, said, err = b.metricNames(ctx, nil, now.Add(-lookback), now)
			return err
		})
	if err != nil {
		return Page{}, err
	}
	rows := described(names, told, in.Search)
	search := in.Paging
	search.Search = "" // it has been searched, help texts included
	out := page([]string{"metric", "type", "unit", "help"}, rows, search)
	if out.Notes = append(notes, said...); out.Total == 0 && in.Search != "" {
		out.Notes = append(out.Notes, "no metric has these words"+nearest(in.Search, wordsOf(names)))
	}
	return out, nil
}

// wordsOf are the words that names are made of.
func wordsOf(names [][]string) []string {
	words := map[string]bool{}
	for _, n := range names {
		for _, w := range strings.FieldsFunc(n[0], func(r rune) bool { return r == '_' || r == ':' || r == '.' }) {
			words[w] = true
		}
	}
	return slices.Sorted(maps.Keys(words))
}

// metadata is what targets tell of one metric, or of all.
func (b *Backend) metadata(ctx context.Context, metric string) (map[string][]promv1.Metadata, error) {
	c, err := b.prometheus()
	if err != nil {
		return nil, err
	}
	told, err := c.Metadata(ctx, metric, "")
	return told, translate(err, "read metadata")
}

// parts of a classic histogram or a summary are told of under their base name.
var seriesSuffixes = []string{"_bucket", "_count", "_sum", "_total", "_created", "_info"}

// described are the metrics a search finds: a name under which series exist, or
// the one under which metadata tells of several of them.
func described(names [][]string, told map[string][]promv1.Metadata, search string) [][]string {
	var rows [][]string
	seen := map[string]bool{}
	for _, n := range names {
		name, about := family(n[0], told)
		if seen[name] || !contains(name+" "+n[0]+" "+about.Help, search) {
			continue
		}
		seen[name] = true
		rows = append(rows, []string{name, string(about.Type), about.Unit, cutAt(about.Help, maxHelp)})
	}
	return rows
}

// family is the name metadata has for a metric, and what it tells.
func family(name string, told map[string][]promv1.Metadata) (string, promv1.Metadata) {
	if about := told[name]; len(about) > 0 {
		return name, about[0]
	}
	for _, suffix := range seriesSuffixes {
		if base, ok := strings.CutSuffix(name, suffix); ok && len(told[base]) > 0 {
			about := told[base][0]
			if about.Type == promv1.MetricTypeHistogram || about.Type == promv1.MetricTypeSummary {
				return base, about
			}
			return name, about // a counter told of without _total
		}
	}
	return name, promv1.Metadata{}
}

func cutAt(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// typeOf is the type of a metric, empty if it is not known.
func (b *Backend) typeOf(ctx context.Context, name string) promv1.MetricType {
	for _, n := range []string{name, strings.TrimSuffix(name, "_total")} {
		if told, err := b.metadata(ctx, n); err == nil && len(told[n]) > 0 {
			return told[n][0].Type
		}
	}
	return ""
}
