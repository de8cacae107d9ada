package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
)

// monitor asks one Prometheus as the official MCP server does: the same call of
// the same client, written down the same way (see docs/decisions/014). It lacks
// that server's process and protocol, so its times are a lower bound.
type monitor struct {
	url    string
	client *http.Client
	api    promv1.API
}

func newMonitor(url string) (*monitor, error) {
	transport := &http.Transport{}
	client, err := api.NewClient(api.Config{Address: url, RoundTripper: transport})
	if err != nil {
		return nil, err
	}
	return &monitor{url, &http.Client{Transport: transport}, promv1.NewAPI(client)}, nil
}

// toolCall is one call of the official server's tools.
type toolCall struct {
	path   string // below /api/v1/, of the request behind it
	params func(now time.Time) url.Values
	answer func(ctx context.Context, api promv1.API, now time.Time) (string, error)
}

// answers is what the official server says to all the calls one question takes.
func (m *monitor) answers(calls []toolCall) peer {
	return peer{"official server's calls, in process", func(ctx context.Context) (string, error) {
		var all strings.Builder
		for _, c := range calls {
			text, err := c.answer(ctx, m.api, time.Now())
			if err != nil {
				return "", err
			}
			all.WriteString(text)
		}
		return all.String(), nil
	}}
}

// raw is the least any client could do for the same facts: the plain requests.
func (m *monitor) raw(calls []toolCall) contender {
	return contender{"raw HTTP", func(ctx context.Context) (int, error) {
		n := 0
		for _, c := range calls {
			size, err := m.get(ctx, c.path+"?"+c.params(time.Now()).Encode())
			if err != nil {
				return 0, err
			}
			n += size
		}
		return n, nil
	}}
}

func (m *monitor) get(ctx context.Context, path string) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, m.url+"/api/v1/"+path, nil)
	if err != nil {
		return 0, err
	}
	res, err := m.client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, res.Status)
	}
	return int(n), err
}

// lines is the form of the official server's answers to queries.
func lines(result string, warnings promv1.Warnings) (string, error) {
	out, err := json.Marshal(struct {
		Result   string          `json:"result"`
		Warnings promv1.Warnings `json:"warnings"`
	}{result, warnings})
	return string(out), err
}

// instantly evaluates an expression now.
func instantly(expr string) toolCall {
	return toolCall{
		"query",
		func(now time.Time) url.Values { return url.Values{"query": {expr}, "time": {seconds(now)}} },
		func(ctx context.Context, api promv1.API, now time.Time) (string, error) {
			value, warnings, _, err := api.Query(ctx, expr, now)
			if err != nil {
				return "", err
			}
			return lines(value.String(), warnings)
		},
	}
}

// lately evaluates an expression over a range that ends now, in the step the
// official server chooses.
func lately(expr string, length time.Duration) toolCall {
	over := func(now time.Time) promv1.Range {
		step := max(1, math.Floor(length.Seconds()/250))
		return promv1.Range{Start: now.Add(-length), End: now, Step: time.Duration(step) * time.Second}
	}
	return toolCall{
		"query_range",
		func(now time.Time) url.Values {
			r := over(now)
			return url.Values{"query": {expr}, "start": {seconds(r.Start)}, "end": {seconds(r.End)}, "step": {r.Step.String()}}
		},
		func(ctx context.Context, api promv1.API, now time.Time) (string, error) {
			value, warnings, _, err := api.QueryRange(ctx, expr, over(now))
			if err != nil {
				return "", err
			}
			return lines(value.String(), warnings)
		},
	}
}

// labelled lists series, or names or values of their labels.
func labelled(path, selector string, list func(context.Context, promv1.API) ([]string, promv1.Warnings, error)) toolCall {
	return toolCall{
		path,
		func(time.Time) url.Values { return url.Values{"match[]": {selector}} },
		func(ctx context.Context, api promv1.API, _ time.Time) (string, error) {
			all, warnings, err := list(ctx, api)
			if err != nil {
				return "", err
			}
			return lines(strings.Join(all, "\n"), warnings)
		},
	}
}

func seriesOf(selector string) toolCall {
	return labelled("series", selector, func(ctx context.Context, api promv1.API) (all []string, _ promv1.Warnings, _ error) {
		sets, warnings, _, err := api.Series(ctx, []string{selector}, time.Time{}, time.Time{})
		for _, set := range sets {
			all = append(all, set.String())
		}
		return all, warnings, err
	})
}

func labelsOf(selector string) toolCall {
	return labelled("labels", selector, func(ctx context.Context, api promv1.API) ([]string, promv1.Warnings, error) {
		names, warnings, _, err := api.LabelNames(ctx, []string{selector}, time.Time{}, time.Time{})
		return texts(names), warnings, err
	})
}

func valuesOf(label, selector string) toolCall {
	return labelled("label/"+label+"/values", selector, func(ctx context.Context, api promv1.API) ([]string, promv1.Warnings, error) {
		values, warnings, _, err := api.LabelValues(ctx, label, []string{selector}, time.Time{}, time.Time{})
		return texts(values), warnings, err
	})
}

func texts[T ~string](names []T) []string {
	out := make([]string, len(names))
	for i, name := range names {
		out[i] = string(name)
	}
	return out
}

// exemplarsOf are those of the last five minutes, the official server's default.
func exemplarsOf(expr string) toolCall {
	const window = 5 * time.Minute
	return toolCall{
		"query_exemplars",
		func(now time.Time) url.Values {
			return url.Values{"query": {expr}, "start": {seconds(now.Add(-window))}, "end": {seconds(now)}}
		},
		func(ctx context.Context, api promv1.API, now time.Time) (string, error) {
			found, err := api.QueryExemplars(ctx, expr, now.Add(-window), now)
			if err != nil {
				return "", err
			}
			var all strings.Builder
			for _, f := range found {
				one, err := json.Marshal(f)
				if err != nil {
					return "", err
				}
				fmt.Fprintf(&all, "%s\n", one)
			}
			return lines(all.String(), nil)
		},
	}
}

// whole answers with all that one method of the client returns.
func whole[T any](path string, method func(promv1.API, context.Context) (T, error)) toolCall {
	return toolCall{
		path,
		func(time.Time) url.Values { return nil },
		func(ctx context.Context, api promv1.API, _ time.Time) (string, error) {
			result, err := method(api, ctx)
			if err != nil {
				return "", err
			}
			out, err := json.Marshal(result)
			return string(out), err
		},
	}
}

// metadataOf is that of one metric; the official server's tool takes a whole name.
func metadataOf(metric string) toolCall {
	c := whole("metadata", func(api promv1.API, ctx context.Context) (map[string][]promv1.Metadata, error) {
		return api.Metadata(ctx, metric, "")
	})
	c.params = func(time.Time) url.Values { return url.Values{"metric": {metric}} }
	return c
}

var (
	allTargets = whole("targets", promv1.API.Targets)
	allRules   = whole("rules", func(api promv1.API, ctx context.Context) (promv1.RulesResult, error) { return api.Rules(ctx, nil) })
	allAlerts  = whole("alerts", promv1.API.Alerts)
	storage    = whole("status/tsdb", func(api promv1.API, ctx context.Context) (promv1.TSDBResult, error) { return api.TSDB(ctx) })
)

func seconds(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', 3, 64) }
