package locks

import (
	"context"
	"errors"

	"github.com/toolcrib/toolcrib/mcpkit"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// unavailable says why the cluster could not be asked, such as to "find out who
// calls", and what helps. err is for the log, whole.
func unavailable(err error, doing string) error {
	wrap := func(text string) error {
		return mcpkit.Wrap(mcpkit.Unavailable, err, "cannot %s: %s", doing, text)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case apierrors.IsForbidden(err):
		return wrap(forbidden(err))
	case apierrors.IsUnauthorized(err):
		return wrap("the cluster does not accept this server's own credentials")
	case errors.Is(err, context.DeadlineExceeded), apierrors.IsTimeout(err), apierrors.IsServerTimeout(err), apierrors.IsTooManyRequests(err):
		return wrap("the API server does not answer in time; try again in a few seconds")
	}
	unreachable := mcpkit.Unreachable(err, doing, "the API server")
	if known, ok := errors.AsType[*mcpkit.Error](unreachable); ok {
		known.Text += "; try again in a few seconds"
		return known
	}
	return wrap("the API server answers with an error; try again in a few seconds")
}

// forbidden tells whoever looks after the server what it lacks, in the API
// server's words: they name its ServiceAccount, the verb and the resource.
func forbidden(err error) string {
	text := "the cluster does not let this server: " + err.Error()
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return text
	}
	switch status.Status().Details.Group {
	case authenticationv1.GroupName, authorizationv1.GroupName:
		text += "; bind its ServiceAccount to the ClusterRole system:auth-delegator"
	}
	return text
}
