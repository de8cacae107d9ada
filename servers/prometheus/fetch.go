package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
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
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusNotFound: // whatever the body says
		return data, translate(&promv1.Error{Type: promv1.ErrClient, Msg: fmt.Sprintf("client error: %d", code)}, doing)
	case answer.Status == "error":
		return data, translate(&promv1.Error{Type: answer.ErrorType, Msg: answer.Error}, doing)
	case code != http.StatusOK:
		return data, translate(&promv1.Error{Type: promv1.ErrServer, Msg: fmt.Sprintf("server error: %d", code)}, doing)
	case failed != nil:
		return data, notPrometheus(failed, doing)
	}
	return answer.Data, nil
}
