package mcpkit

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

// OIDCConfig says whose tokens prove who calls, and how they name the caller.
// Its fields mean what the API server's flags of the same names do.
type OIDCConfig struct {
	IssuerURL      string           // as tokens name it: https, or http on loopback
	Audience       string           // that a token must be issued for
	UsernameClaim  string           // sub
	UsernamePrefix string           // the issuer and # unless the claim is email; - for none
	GroupsClaim    string           // holds one name or a list; no groups are read if empty
	GroupsPrefix   string           // none
	CAFile         string           // PEM; the system's authorities if empty
	Now            func() time.Time // time.Now
}

// OIDC authenticates callers by the tokens of one OpenID Connect issuer. It is
// safe for concurrent use.
type OIDC struct {
	OIDCConfig
	keys *issuerKeys
}

// NewOIDC returns the authenticator for c. It does not connect: an issuer that
// is down is asked again when somebody calls. The error is about c, whose
// fields it names as flags.
func NewOIDC(c OIDCConfig) (*OIDC, error) {
	if c.UsernameClaim == "" {
		c.UsernameClaim = "sub"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	switch {
	case c.UsernamePrefix == "-":
		c.UsernamePrefix = ""
	case c.UsernamePrefix == "" && c.UsernameClaim != "email":
		c.UsernamePrefix = c.IssuerURL + "#"
	}
	if err := c.check(); err != nil {
		return nil, err
	}
	client, err := issuerClient(c.CAFile)
	if err != nil {
		return nil, usagef("--oidc-ca-file: %w", err)
	}
	return &OIDC{c, newIssuerKeys(c.IssuerURL, client, c.Now)}, nil
}

func (c OIDCConfig) check() error {
	switch {
	case c.IssuerURL == "":
		return usagef("--auth=oidc needs --oidc-issuer-url, such as https://login.example.com")
	case c.Audience == "":
		return usagef("--auth=oidc needs --resource-url, the address clients use for this server, or --audience, whatever its tokens are issued for")
	case strings.HasPrefix(c.UsernamePrefix, reserved):
		return usagef("--oidc-username-prefix=%s: names that begin with %s are the cluster's own", c.UsernamePrefix, reserved)
	case strings.HasPrefix(c.GroupsPrefix, reserved):
		return usagef("--oidc-groups-prefix=%s: names that begin with %s are the cluster's own", c.GroupsPrefix, reserved)
	}
	if err := checkURL(c.IssuerURL); err != nil {
		return usagef("--oidc-issuer-url=%s %w", c.IssuerURL, err)
	}
	return nil
}

// checkURL holds an address to what identifies a party of a login: nobody on
// the way can answer in its place.
func checkURL(address string) error {
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "":
		return errors.New("is not a URL such as https://login.example.com")
	case u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
		return errors.New("must begin with https://; http:// is for loopback addresses")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("must have neither user, query nor fragment")
	}
	return nil
}

// Authenticate implements [Authenticator].
func (o *OIDC) Authenticate(ctx context.Context, token string) (Caller, error) {
	signature := &signatureCheck{keys: o.keys}
	rules := &oidc.Config{ClientID: o.Audience, SupportedSigningAlgs: signatureNames, Now: o.Now}
	verified, err := oidc.NewVerifier(o.IssuerURL, signature, rules).Verify(ctx, token)
	if known, ok := errors.AsType[*Error](signature.err); ok {
		return Caller{}, known
	}
	if err != nil {
		return Caller{}, notGood(err)
	}
	var claims json.RawMessage
	if err := verified.Claims(&claims); err != nil {
		return Caller{}, notGood(err)
	}
	caller, err := o.caller(claims)
	if err != nil {
		return Caller{}, notGood(err)
	}
	caller.Expires = verified.Expiry
	return caller, nil
}

// maxReasonBytes bounds what a caller is told about a token, which may quote it.
const maxReasonBytes = 500

func notGood(err error) error {
	if expired, ok := errors.AsType[*oidc.TokenExpiredError](err); ok {
		if expired.Expiry.IsZero() {
			return Errorf(Denied, "the token does not say when it expires")
		}
		return Errorf(Denied, "the token has expired, at %s", expired.Expiry.UTC().Format(time.RFC3339))
	}
	reason, _ := cutText(strings.TrimPrefix(err.Error(), "oidc: "), maxReasonBytes)
	return Wrap(Denied, err, "%s", fmt.Sprintf("the token is not good here: %s", reason))
}

// signatureCheck checks the signature of one token, and keeps what the library
// only passes on as text.
type signatureCheck struct {
	keys *issuerKeys
	err  error
}

// VerifySignature implements [oidc.KeySet].
func (s *signatureCheck) VerifySignature(ctx context.Context, token string) (payload []byte, err error) {
	payload, s.err = s.keys.verify(ctx, token)
	return payload, s.err
}
