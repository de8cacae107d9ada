package agenttrigger

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mostToken is the longest token that is shown to the API server, in bytes.
const mostToken = 16 << 10

// refusal is an answer other than 200, in words for whoever sent the request.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

func refuse(code int, format string, args ...any) error {
	return &refusal{code, fmt.Sprintf(format, args...)}
}

// access asks the API server who sends alerts and whether they may.
type access struct {
	client   client.Client
	audience string
}

// sender is who sent the request.
func (a *access) sender(ctx context.Context, r *http.Request) (authenticationv1.UserInfo, error) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" || len(token) > mostToken {
		return authenticationv1.UserInfo{}, refuse(http.StatusUnauthorized, "send a ServiceAccount's token for audience %s as a bearer token", a.audience)
	}
	review := &authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{a.audience}}}
	if err := a.client.Create(ctx, review); err != nil {
		return authenticationv1.UserInfo{}, fmt.Errorf("review a token: %w", err)
	}
	if !review.Status.Authenticated || !slices.Contains(review.Status.Audiences, a.audience) {
		return authenticationv1.UserInfo{}, refuse(http.StatusUnauthorized, "the token is not good for audience %s, or not any more; project one for it", a.audience)
	}
	return review.Status.User, nil
}

// check refuses a user who may not send alerts to the trigger.
func (a *access) check(ctx context.Context, user authenticationv1.UserInfo, namespace, trigger string) error {
	extra := map[string]authorizationv1.ExtraValue{}
	for name, values := range user.Extra {
		extra[name] = authorizationv1.ExtraValue(values)
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra,
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "create", Group: "toolcrib.dev", Resource: "agenttriggers", Subresource: "alerts", Namespace: namespace, Name: trigger,
		},
	}}
	if err := a.client.Create(ctx, review); err != nil {
		return fmt.Errorf("ask whether %s may send alerts: %w", user.Username, err)
	}
	if !review.Status.Allowed || review.Status.Denied {
		return refuse(http.StatusForbidden, "%s may not send alerts to AgentTrigger %s/%s: that takes the verb create on agenttriggers/alerts (ClusterRole toolcrib-alert-sender)", user.Username, namespace, trigger)
	}
	return nil
}

// ownAudience is NAME.NAMESPACE.svc of the ServiceAccount that the controller
// runs as, which its Service is named for.
func ownAudience(ctx context.Context, c client.Client) (string, error) {
	var review authenticationv1.SelfSubjectReview
	if err := c.Create(ctx, &review); err != nil {
		return "", fmt.Errorf("ask who the controller is: %w", err)
	}
	rest, found := strings.CutPrefix(review.Status.UserInfo.Username, "system:serviceaccount:")
	namespace, name, both := strings.Cut(rest, ":")
	if !found || !both {
		return "", fmt.Errorf("the controller runs as %q, which is no ServiceAccount, so senders of alerts cannot know what audience their tokens need: give --alerts-audience, or --alerts-address=0 to receive none", review.Status.UserInfo.Username)
	}
	return name + "." + namespace + ".svc", nil
}
