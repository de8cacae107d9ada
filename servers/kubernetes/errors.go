package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// translate turns what the API server, or the way to it, said about doing
// something ("list pods in namespace shop") into an error a model can act on.
func translate(err error, doing string) error {
	var known *mcpkit.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case apierrors.IsForbidden(err):
		return locks.Denied(err, doing, reason(err))
	case apierrors.IsUnauthorized(err):
		return mcpkit.Wrap(mcpkit.Denied, err, "the cluster rejects this server's credentials (expired or revoked) when asked to %s. A person must renew them", doing)
	case apierrors.IsNotFound(err):
		return mcpkit.Wrap(mcpkit.NotFound, err, "cannot %s: %s", doing, reason(err))
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return mcpkit.Wrap(mcpkit.Conflict, err, "cannot %s: %s", doing, reason(err))
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return mcpkit.Wrap(mcpkit.Invalid, err, "the continue token has expired; ask again without it")
	case apierrors.IsRequestEntityTooLargeError(err):
		return mcpkit.Wrap(mcpkit.TooLarge, err, "cannot %s: %s", doing, reason(err))
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err), apierrors.IsNotAcceptable(err), apierrors.IsUnsupportedMediaType(err):
		return mcpkit.Wrap(mcpkit.Invalid, err, "cannot %s: %s", doing, reason(err))
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsInternalError(err):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server could not %s: %s; try again in a moment", doing, reason(err))
	case errors.Is(err, context.DeadlineExceeded):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server did not %s in time; ask for less, or try again", doing)
	}
	return unreachable(err, doing)
}

// unreachable classes what went wrong before the API server could answer.
func unreachable(err error, doing string) error {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server could not %s: %s", doing, reason(err))
	}
	return mcpkit.Unreachable(err, doing, "the API server")
}

// isKind reports whether err is an answer of that kind.
func isKind(err error, k mcpkit.Kind) bool {
	var known *mcpkit.Error
	return errors.As(err, &known) && known.Kind == k
}

// reason is the API server's own message, with each field cause on its line.
func reason(err error) string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return err.Error()
	}
	s := status.Status()
	if s.Details == nil || len(s.Details.Causes) < 2 {
		return strings.TrimSpace(s.Message)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q is %s:", s.Details.Kind, s.Details.Name, strings.ToLower(string(s.Reason)))
	for _, c := range s.Details.Causes {
		fmt.Fprintf(&b, "\n- %s", cause(c))
	}
	return b.String()
}

func cause(c metav1.StatusCause) string {
	if c.Field == "" {
		return c.Message
	}
	return c.Field + ": " + c.Message
}
