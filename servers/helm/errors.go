package helm

import (
	"context"
	"errors"
	"strings"

	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/storage/driver"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// translate turns what Helm, the API server, or the way to it, said about doing
// something ("list releases in namespace shop") into an error a model can act on.
func translate(err error, doing string) error {
	var known *mcpkit.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, driver.ErrReleaseNotFound), apierrors.IsNotFound(err):
		return mcpkit.Wrap(mcpkit.NotFound, err, "cannot %s: %v", doing, err)
	case apierrors.IsForbidden(err):
		return locks.Denied(err, doing, reason(err))
	case apierrors.IsUnauthorized(err):
		return mcpkit.Wrap(mcpkit.Denied, err, "the cluster rejects this server's credentials (expired or revoked) when asked to %s. A person must renew them", doing)
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return mcpkit.Wrap(mcpkit.Conflict, err, "cannot %s: %s", doing, reason(err))
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "cannot %s: too much changed meanwhile; try again", doing)
	case apierrors.IsRequestEntityTooLargeError(err):
		return mcpkit.Wrap(mcpkit.TooLarge, err, "cannot %s: %s", doing, reason(err))
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err):
		return mcpkit.Wrap(mcpkit.Invalid, err, "cannot %s: %s", doing, reason(err))
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsInternalError(err):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server could not %s: %s; try again in a moment", doing, reason(err))
	case errors.Is(err, context.DeadlineExceeded):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server did not %s in time; ask for less, or try again", doing)
	}
	return mcpkit.Unreachable(err, doing, "the API server")
}

// reason is the API server's own message.
func reason(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	return strings.TrimSpace(status.Status().Message)
}

// textOf is what a model may read of an error, for answers that go on without
// what failed.
func textOf(err error) string {
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		return known.Text
	}
	return "could not be read"
}
