package locks

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	authenticationv1 "k8s.io/api/authentication/v1"
)

// How long what a TokenReview found is good for: a token that is revoked is
// refused that much later. A refusal is shorter, for a token that has only just
// become good.
const (
	knownFor   = 10 * time.Second
	unknownFor = 2 * time.Second
)

// Authenticate implements [mcpkit.Authenticator] by TokenReview.
func (l *Locks) Authenticate(ctx context.Context, token string) (mcpkit.Caller, error) {
	if said := claimsOf(token); said.Expires > 0 && !said.expires().After(l.clock.Now()) {
		return mcpkit.Caller{}, mcpkit.Errorf(mcpkit.Denied, "the token has expired, at %s; send a new one", said.expires().UTC().Format(time.RFC3339))
	}
	return l.callers.get(ctx, digest([]byte(token)), func(ctx context.Context) (mcpkit.Caller, time.Duration, error) {
		return l.reviewToken(ctx, token)
	})
}

func (l *Locks) reviewToken(ctx context.Context, token string) (mcpkit.Caller, time.Duration, error) {
	review := authenticationv1.TokenReview{Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{l.cfg.Audience}}}
	if err := l.authentication.Post().Resource("tokenreviews").Body(&review).Do(ctx).Into(&review); err != nil {
		return mcpkit.Caller{}, 0, unavailable(err, "find out who calls")
	}
	caller, err := l.caller(review.Status, token)
	if err != nil {
		return mcpkit.Caller{}, unknownFor, err
	}
	return caller, min(knownFor, caller.Expires.Sub(l.clock.Now())), nil
}

// caller is whom the API server found behind token. An API server that knows no
// audiences answers without one, and then the token could be another server's.
func (l *Locks) caller(found authenticationv1.TokenReviewStatus, token string) (mcpkit.Caller, error) {
	said, user := claimsOf(token), found.User
	if !found.Authenticated || user.Username == "" || !slices.Contains(found.Audiences, l.cfg.Audience) {
		return mcpkit.Caller{}, l.unknown(found.Error, said, token)
	}
	c := mcpkit.Caller{Name: user.Username, UID: user.UID, Groups: user.Groups, Extra: extra[[]string](user.Extra), Expires: said.expires()}
	if said.Expires == 0 {
		c.Expires = l.clock.Now().Add(knownFor) // until it is reviewed again
	}
	return c, nil
}

// unknown refuses a token. What the API server says of it is for the log.
func (l *Locks) unknown(why string, said claims, token string) error {
	text := "the cluster does not know this token, or it is not valid any more; send one for audience %s"
	if len(said.Audience) > 0 && !slices.Contains(said.Audience, l.cfg.Audience) {
		text = "the token is for another audience; send one for audience %s"
	}
	var cause error
	if why != "" {
		cause = errors.New(strings.ReplaceAll(why, token, "[token]"))
	}
	return mcpkit.Wrap(mcpkit.Denied, cause, text, l.cfg.Audience)
}

// claims are what a token says of itself, if it is a JWT. A review tells
// neither, and none of it counts before there was one.
type claims struct {
	Expires  float64   `json:"exp"` // seconds since 1970
	Audience audiences `json:"aud"`
}

func (c claims) expires() time.Time {
	const farOff = 1 << 40
	return time.Unix(int64(min(c.Expires, farOff)), 0)
}

// audiences are one string or several (RFC 7519, section 4.1.3).
type audiences []string

func (a *audiences) UnmarshalJSON(b []byte) error {
	var one string
	if json.Unmarshal(b, &one) == nil {
		*a = audiences{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(a))
}

// claimsOf reads the claims of a JWT; those of any other token are zero.
func claimsOf(token string) claims {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return claims{}
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	var c claims
	if err != nil || json.Unmarshal(body, &c) != nil {
		return claims{}
	}
	return c
}

// extra is what a cluster knows of a user, in another group's type of the same
// shape.
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
