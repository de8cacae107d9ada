package clientgo

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

// Translate turns what the API server, or the way to it, said about doing
// something ("list pods in namespace shop") into an error a model can act on. A
// call that was cancelled, and what is an *mcpkit.Error already, stay as they are.
func Translate(err error, doing string) error {
	var known *mcpkit.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case apierrors.IsForbidden(err):
		return locks.Denied(err, doing, Reason(err))
	case apierrors.IsUnauthorized(err):
		return mcpkit.Wrap(mcpkit.Denied, err, "the cluster rejects this server's credentials (expired or revoked) when asked to %s. A person must renew them", doing)
	case apierrors.IsNotFound(err):
		return mcpkit.Wrap(mcpkit.NotFound, err, "cannot %s: %s", doing, Reason(err))
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return mcpkit.Wrap(mcpkit.Conflict, err, "cannot %s: %s", doing, Reason(err))
	case apierrors.IsResourceExpired(err), apierrors.IsGone(err):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "cannot %s: too much changed meanwhile; try again", doing)
	case apierrors.IsRequestEntityTooLargeError(err):
		return mcpkit.Wrap(mcpkit.TooLarge, err, "cannot %s: %s", doing, Reason(err))
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsMethodNotSupported(err), apierrors.IsNotAcceptable(err), apierrors.IsUnsupportedMediaType(err):
		return mcpkit.Wrap(mcpkit.Invalid, err, "cannot %s: %s", doing, Reason(err))
	case apierrors.IsTooManyRequests(err), apierrors.IsServiceUnavailable(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err), apierrors.IsInternalError(err):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server could not %s: %s; try again in a moment", doing, Reason(err))
	case errors.Is(err, context.DeadlineExceeded):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server did not %s in time; ask for less, or try again", doing)
	}
	if _, answered := status(err); answered {
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server could not %s: %s", doing, Reason(err))
	}
	return mcpkit.Unreachable(err, doing, "the API server")
}

// Message is the API server's own; what any other error says.
func Message(err error) string {
	if s, answered := status(err); answered {
		return strings.TrimSpace(s.Message)
	}
	return err.Error()
}

// Reason is the API server's own message, with each field cause on its line.
func Reason(err error) string {
	s, _ := status(err)
	if s.Details == nil || len(s.Details.Causes) < 2 {
		return Message(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %q is %s:", s.Details.Kind, s.Details.Name, strings.ToLower(string(s.Reason)))
	for _, c := range s.Details.Causes {
		if c.Field != "" {
			c.Message = c.Field + ": " + c.Message
		}
		fmt.Fprintf(&b, "\n- %s", c.Message)
	}
	return b.String()
}

// status is what the API server answered, if err is that.
func status(err error) (s metav1.Status, answered bool) {
	var from apierrors.APIStatus
	if !errors.As(err, &from) {
		return s, false
	}
	return from.Status(), true
}
