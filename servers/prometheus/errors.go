package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/toolcrib/toolcrib/mcpkit"
	"golang.org/x/oauth2"
)

// translate turns what Prometheus, or the way to it, said about doing something
// ("evaluate the query") into an error a model can act on.
func translate(err error, doing string) error {
	var known *mcpkit.Error
	var answered *promv1.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &answered):
		return answer(answered, doing)
	case errors.Is(err, context.DeadlineExceeded) && !dialling(err):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "Prometheus did not %s in time; ask for less, or try again", doing)
	}
	return unreachable(err, doing, "Prometheus")
}

// answer classes an error that Prometheus's API gave.
func answer(err *promv1.Error, doing string) error {
	switch err.Type {
	case promv1.ErrBadData, promv1.ErrExec:
		return mcpkit.Wrap(mcpkit.Invalid, err, "cannot %s: %s%s", doing, err.Msg, remedy(err.Msg))
	case promv1.ErrTimeout, promv1.ErrCanceled:
		return mcpkit.Wrap(mcpkit.Unavailable, err, "Prometheus gave up on it: %s; ask for less", err.Msg)
	case promv1.ErrBadResponse:
		return notPrometheus(err, doing)
	}
	code, _, _ := strings.Cut(strings.TrimPrefix(err.Msg, "client error: "), " ")
	switch {
	case code == fmt.Sprint(http.StatusUnauthorized), code == fmt.Sprint(http.StatusForbidden):
		return mcpkit.Wrap(mcpkit.Denied, err, "Prometheus refuses this server's credentials (%s) when asked to %s. A person must give it others with --prometheus-http-config", code, doing)
	case code == fmt.Sprint(http.StatusNotFound):
		return mcpkit.Wrap(mcpkit.NotFound, err, "this backend has no such endpoint, so it cannot %s; Thanos, Mimir and older versions serve a part of Prometheus's API alone", doing)
	}
	return mcpkit.Wrap(mcpkit.Unavailable, err, "Prometheus could not %s: %s; try again in a moment", doing, err.Msg)
}

// notPrometheus is what to say of an answer that is no answer of the API, such
// as the page of a login or of a proxy.
func notPrometheus(err error, doing string) error {
	return mcpkit.Wrap(mcpkit.Unavailable, err, "cannot %s: what answers at --prometheus-url is not Prometheus's API. A person must check the URL", doing)
}

// remedy is what to do about what Prometheus's engine refuses most.
func remedy(msg string) string {
	switch {
	case strings.Contains(msg, "same labelset"):
		return "; functions such as rate drop the metric's name, so select one metric, or keep series apart by their labels"
	case strings.Contains(msg, "many-to-many"), strings.Contains(msg, "duplicate series"):
		return "; aggregate one side with sum by (...) so that each series has one partner, or match on more labels"
	case strings.Contains(msg, "is not enabled"), strings.Contains(msg, "must be enabled"):
		return "; this Prometheus runs without that experimental feature, so write it without"
	case strings.Contains(msg, "multiple matches for labels"):
		return "; say which side has several series, with group_left or group_right"
	}
	return ""
}

// unreachable classes what went wrong before the server could answer.
func unreachable(err error, doing, server string) error {
	var token *oauth2.RetrieveError
	switch {
	case errors.As(err, &token) && token.Response.StatusCode < http.StatusInternalServerError:
		return mcpkit.Wrap(mcpkit.Denied, err, "the token endpoint refuses this server's credentials (%d) when asked for a token for %s. A person must give it others in oauth2 of its HTTP client configuration", token.Response.StatusCode, server)
	case errors.As(err, &token):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "cannot %s: the token endpoint does not answer (%d)", doing, token.Response.StatusCode)
	}
	return mcpkit.Unreachable(err, doing, server)
}

// dialling reports whether an error comes from before there was a connection.
func dialling(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial"
}
