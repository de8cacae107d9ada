package locks

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	authorizationv1 "k8s.io/api/authorization/v1"
)

// How long what a SubjectAccessReview said is good for: a right taken away ends
// that much later, and one that was just granted is there that much later.
const (
	allowedFor = 10 * time.Second
	deniedFor  = 2 * time.Second
)

// Authorize implements [mcpkit.Authorizer] by SubjectAccessReview: verb call on
// tools.toolcrib.dev, in the server's namespace, as kubectl auth can-i asks.
func (l *Locks) Authorize(ctx context.Context, caller mcpkit.Caller, tool string) (bool, error) {
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: caller.Name, UID: caller.UID, Groups: caller.Groups, Extra: extra[authorizationv1.ExtraValue](caller.Extra),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: l.namespace, Verb: "call", Group: "toolcrib.dev", Resource: "tools", Name: tool,
		},
	}
	key, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("encode the review of %s: %w", caller.Name, err)
	}
	return l.rights.get(ctx, digest(key), func(ctx context.Context) (bool, time.Duration, error) {
		return l.reviewAccess(ctx, spec)
	})
}

func (l *Locks) reviewAccess(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec) (bool, time.Duration, error) {
	review := authorizationv1.SubjectAccessReview{Spec: spec}
	if err := l.authorization.Post().Resource("subjectaccessreviews").Body(&review).Do(ctx).Into(&review); err != nil {
		return false, 0, unavailable(err, "find out what "+spec.User+" may call")
	}
	if !review.Status.Allowed || review.Status.Denied {
		l.logReasons(spec, review.Status)
		return false, deniedFor, nil
	}
	return true, allowedFor, nil
}

// logReasons writes down why a caller was refused where that is more than that
// nobody has granted it the tool: a role that is gone, an authorizer's own words.
func (l *Locks) logReasons(spec authorizationv1.SubjectAccessReviewSpec, found authorizationv1.SubjectAccessReviewStatus) {
	if found.Reason == "" && found.EvaluationError == "" {
		return
	}
	l.asides.Do(func() {
		l.cfg.Logger.Warn("the cluster says why a caller is refused", "caller", spec.User, "tool", spec.ResourceAttributes.Name, "reason", found.Reason, "error", found.EvaluationError)
	})
}
