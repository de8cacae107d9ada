package prometheus

import (
	"context"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var query = mcpkit.Tool{
	Name:        "prometheus_query",
	Title:       "Query Prometheus",
	Description: "Evaluates a PromQL expression at one instant. For values over time use prometheus_query_range.",
	Narrow:      "aggregate with sum by (...) or topk, or lower limit",
}

type QueryIn struct {
	Query string      `json:"query" jsonschema:"PromQL, such as up == 0"`
	Time  mcpkit.When `json:"time,omitzero" jsonschema:"instant; now if absent"`
	Limit int         `json:"limit,omitempty" jsonschema:"most series; 100 if absent"`
}

func (QueryIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(1000.0)
}

type QueryOut struct {
	Value string `json:"value,omitempty" jsonschema:"of a scalar or a string"`
	mcpkit.Left
	Series mcpkit.Table `json:"series,omitzero" jsonschema:"one row per series"`
}

func (b *Backend) query(ctx context.Context, in QueryIn) (QueryOut, error) {
	c, err := b.prometheus()
	if err != nil {
		return QueryOut{}, err
	}
	value, _, _, err := c.Query(ctx, in.Query, in.Time.Time(b.now()), promv1.WithLimit(uint64(in.Limit)))
	if err != nil {
		return QueryOut{}, translate(err, "evaluate the query")
	}
	if v, ok := value.(*model.Scalar); ok {
		return QueryOut{Value: v.Value.String()}, nil
	}
	return QueryOut{}, nil
}
