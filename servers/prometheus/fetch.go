package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// fetch asks an endpoint of Prometheus's API for what the typed client cannot
// ask, or leaves out of the answer.
func fetch[T any](ctx context.Context, b *Backend, endpoint string, params url.Values, doing string) (data T, err error) {
	c, err := b.prometheus()
	if err != nil {
		return data, err
	}
	at := c.raw.URL("/api/v1/"+endpoint, nil)
	at.RawQuery = params.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return data, err
	}
	resp, body, err := c.raw.Do(ctx, req)
	if err != nil {
		return data, translate(err, doing)
	}
	var answer struct {
		Status    string           `json:"status"`
		Data      T                `json:"data"`
		ErrorType promv1.ErrorType `json:"errorType"`
		Error     string           `json:"error"`
	}
	failed := json.Unmarshal(body, &answer)
	switch {
	case answer.Status == "error":
		return data, translate(&promv1.Error{Type: answer.ErrorType, Msg: answer.Error}, doing)
	case resp.StatusCode != http.StatusOK:
		return data, translate(&promv1.Error{Type: promv1.ErrClient, Msg: fmt.Sprintf("client error: %d", resp.StatusCode)}, doing)
	case failed != nil:
		return data, wrap(mcpkit.Unavailable, failed, "cannot %s: what answers at --prometheus-url is not Prometheus's API. A person must check the URL", doing)
	}
	return answer.Data, nil
}
