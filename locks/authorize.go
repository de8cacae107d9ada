package locks

import (
	"context"

	"github.com/toolcrib/toolcrib/mcpkit"
	authorizationv1 "k8s.io/api/authorization/v1"
)

// Authorize implements [mcpkit.Authorizer] by SubjectAccessReview: verb call on
// tools.toolcrib.dev, in the server's namespace, as kubectl auth can-i asks.
func (l *Locks) Authorize(ctx context.Context, caller mcpkit.Caller, tool string) (bool, error) {
	review := authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: caller.Name, UID: caller.UID, Groups: caller.Groups, Extra: extra[authorizationv1.ExtraValue](caller.Extra),
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: l.namespace, Verb: "call", Group: "toolcrib.dev", Resource: "tools", Name: tool,
		},
	}}
	if err := l.authorization.Post().Resource("subjectaccessreviews").Body(&review).Do(ctx).Into(&review); err != nil {
		return false, unavailable(err, "find out what "+caller.Name+" may call")
	}
	return review.Status.Allowed, nil
}
