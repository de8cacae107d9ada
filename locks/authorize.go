package locks

import (
	"cmp"
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

// Authorize implements [mcpkit.Authorizer] by SubjectAccessReview, as kubectl
// auth can-i asks.
func (l *Locks) Authorize(ctx context.Context, caller mcpkit.Caller, right mcpkit.Right) (bool, error) {
	spec := authorizationv1.SubjectAccessReviewSpec{
		User: caller.Name, UID: caller.UID, Groups: caller.Groups, Extra: extra[authorizationv1.ExtraValue](caller.Extra),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: cmp.Or(right.Namespace, l.namespace), Verb: right.Verb, Group: right.Group, Resource: right.Resource, Name: right.Name,
		},
	}
	key, err := json.Marshal(spec)
	if err != nil {
		return false, fmt.Errorf("encode the review of %s: %w", caller.Name, err)
	}
	return l.rights.get(ctx, digest(key), func(ctx context.Context) (bool, time.Duration, error) {
		return l.reviewAccess(ctx, spec, right)
	})
}

func (l *Locks) reviewAccess(ctx context.Context, spec authorizationv1.SubjectAccessReviewSpec, right mcpkit.Right) (bool, time.Duration, error) {
	var found authorizationv1.SubjectAccessReview // not what is asked, whose groups other reviews of the caller read
	if err := l.authorization.Post().Resource("subjectaccessreviews").Body(&authorizationv1.SubjectAccessReview{Spec: spec}).Do(ctx).Into(&found); err != nil {
		return false, 0, unavailable(err, "find out what "+spec.User+" may do")
	}
	if !found.Status.Allowed || found.Status.Denied {
		l.logReasons(spec.User, right, found.Status)
		return false, deniedFor, nil
	}
	return true, allowedFor, nil
}

// logReasons writes down why a caller was refused where that is more than that
// nobody has granted it the right: a role that is gone, an authorizer's own words.
func (l *Locks) logReasons(caller string, right mcpkit.Right, found authorizationv1.SubjectAccessReviewStatus) {
	if found.Reason == "" && found.EvaluationError == "" {
		return
	}
	l.asides.Do(func() {
		l.cfg.Logger.Warn("the cluster says why a caller is refused", "caller", caller, "right", right.String(), "reason", found.Reason, "error", found.EvaluationError)
	})
}
