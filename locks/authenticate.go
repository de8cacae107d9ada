package locks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	authenticationv1 "k8s.io/api/authentication/v1"
)

// Authenticate implements [mcpkit.Authenticator] by TokenReview.
func (l *Locks) Authenticate(ctx context.Context, token string) (mcpkit.Caller, error) {
	review := authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{l.cfg.Audience}}}
	if err := l.authentication.Post().Resource("tokenreviews").Body(&review).Do(ctx).Into(&review); err != nil {
		return mcpkit.Caller{}, unavailable(err, "find out who calls")
	}
	return l.caller(review.Status, token)
}

// caller is whom the API server found behind token. An API server that knows no
// audiences answers without one, and then the token could be another server's.
func (l *Locks) caller(found authenticationv1.TokenReviewStatus, token string) (mcpkit.Caller, error) {
	if !found.Authenticated || !slices.Contains(found.Audiences, l.cfg.Audience) {
		return mcpkit.Caller{}, mcpkit.Errorf(mcpkit.Denied, "the token is not a valid one for audience %s", l.cfg.Audience)
	}
	user := found.User
	return mcpkit.Caller{Name: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra[[]string](user.Extra), Expires: expiry(token)}, nil
}

// extra is a user's extra in another group's type of the same shape.
func extra[To, From ~[]string](from map[string]From) map[string]To {
	if len(from) == 0 {
		return nil
	}
	to := make(map[string]To, len(from))
	for key, values := range from {
		to[key] = To(values)
	}
	return to
}

// reviewed is how long a token that does not say when it expires is good for,
// until it is reviewed again.
const reviewed = 10 * time.Second

// expiry reads when a token expires, which a review does not say. The API server
// has checked the token; one that is no JWT is good for a moment.
func expiry(token string) time.Time {
	var claims struct {
		Expires int64 `json:"exp"`
	}
	parts := strings.Split(token, ".")
	if len(parts) == 3 {
		body, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err == nil && json.Unmarshal(body, &claims) == nil && claims.Expires > 0 {
			return time.Unix(claims.Expires, 0)
		}
	}
	return time.Now().Add(reviewed)
}
