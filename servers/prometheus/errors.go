package prometheus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
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
		return wrap(mcpkit.Unavailable, err, "Prometheus did not %s in time; ask for less, or try again", doing)
	}
	return unreachable(err, doing, "Prometheus")
}

// answer classes an error that Prometheus's API gave.
func answer(err *promv1.Error, doing string) error {
	switch err.Type {
	case promv1.ErrBadData, promv1.ErrExec:
		return wrap(mcpkit.Invalid, err, "cannot %s: %s%s", doing, err.Msg, remedy(err.Msg))
	case promv1.ErrTimeout, promv1.ErrCanceled:
		return wrap(mcpkit.Unavailable, err, "Prometheus gave up on it: %s; ask for less", err.Msg)
	case promv1.ErrBadResponse:
		return notPrometheus(err, doing)
	}
	code, _, _ := strings.Cut(strings.TrimPrefix(err.Msg, "client error: "), " ")
	switch {
	case code == fmt.Sprint(http.StatusUnauthorized), code == fmt.Sprint(http.StatusForbidden):
		return wrap(mcpkit.Denied, err, "Prometheus refuses this server's credentials (%s) when asked to %s. A person must give it others with --prometheus-http-config", code, doing)
	case code == fmt.Sprint(http.StatusNotFound):
		return wrap(mcpkit.NotFound, err, "this backend has no such endpoint, so it cannot %s; Thanos, Mimir and older versions serve a part of Prometheus's API alone", doing)
	}
	return wrap(mcpkit.Unavailable, err, "Prometheus could not %s: %s; try again in a moment", doing, err.Msg)
}

// notPrometheus is what to say of an answer that is no answer of the API, such
// as the page of a login or of a proxy.
func notPrometheus(err error, doing string) error {
	return wrap(mcpkit.Unavailable, err, "cannot %s: what answers at --prometheus-url is not Prometheus's API. A person must check the URL", doing)
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
	var dial *net.OpError
	var dns *net.DNSError
	var request *url.Error
	var token *oauth2.RetrieveError
	switch {
	case errors.As(err, &token) && token.Response.StatusCode < http.StatusInternalServerError:
		return wrap(mcpkit.Denied, err, "the token endpoint refuses this server's credentials (%d) when asked for a token for %s. A person must give it others in oauth2 of its HTTP client configuration", token.Response.StatusCode, server)
	case errors.As(err, &token):
		return wrap(mcpkit.Unavailable, err, "cannot %s: the token endpoint does not answer (%d)", doing, token.Response.StatusCode)
	case errors.As(err, &dns):
		return wrap(mcpkit.Unavailable, err, "cannot %s: %s's name %s does not resolve", doing, server, dns.Name)
	case errors.As(err, &dial):
		return wrap(mcpkit.Unavailable, err, "cannot %s: %s cannot be reached (%v)", doing, server, dial.Err)
	case errors.As(err, &request):
		return wrap(mcpkit.Unavailable, err, "cannot %s: %s cannot be reached (%v)", doing, server, request.Err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// dialling reports whether an error comes from before there was a connection.
func dialling(err error) bool {
	var network *net.OpError
	return errors.As(err, &network) && network.Op == "dial"
}

func wrap(kind mcpkit.Kind, err error, format string, args ...any) error {
	return &mcpkit.Error{Kind: kind, Text: fmt.Sprintf(format, args...), Err: err}
}
