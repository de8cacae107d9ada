package mcpkit

import (
	"cmp"

	"github.com/modelcontextprotocol/go-sdk/oauthex"
	"github.com/spf13/pflag"
)

// addOIDC adds the flags of --auth=oidc, named after the API server's.
func (f *flags) addOIDC(fs *pflag.FlagSet) {
	fs.StringVar(&f.oidc.IssuerURL, "oidc-issuer-url", "", "`URL` of the issuer whose tokens --auth=oidc takes, exactly as they name it")
	fs.StringVar(&f.oidc.UsernameClaim, "oidc-username-claim", "sub", "`claim` that names the caller")
	fs.StringVar(&f.oidc.UsernamePrefix, "oidc-username-prefix", "", "`prefix` of callers' names, or - for none; the issuer's URL and # if absent, unless the claim is email")
	fs.StringVar(&f.oidc.GroupsClaim, "oidc-groups-claim", "", "`claim` that lists the caller's groups")
	fs.StringVar(&f.oidc.GroupsPrefix, "oidc-groups-prefix", "", "`prefix` of groups' names")
	fs.StringVar(&f.oidc.CAFile, "oidc-ca-file", "", "PEM `file` of the authorities that vouch for the issuer; the system's if absent")
	fs.StringSliceVar(&f.oidcScopes, "oidc-scopes", []string{"openid"}, "`scopes` that clients are told to ask the issuer for")
	fs.StringVar(&f.resourceURL, "resource-url", "", "`URL` of this server as clients use it, such as https://tools.example.com/mcp, so that they learn where to log in; also the audience with --auth=oidc if --audience is absent")
}

func (f *flags) checkOIDC() error {
	switch {
	case f.auth != authOIDC && (f.oidc.IssuerURL != "" || f.resourceURL != ""):
		return usagef("--oidc-issuer-url and --resource-url need --auth=oidc")
	case f.resourceURL != "":
		if err := checkURL(f.resourceURL); err != nil {
			return usagef("--resource-url=%s %w", f.resourceURL, err)
		}
	}
	return nil
}

// authenticator is that of --auth=oidc.
func (f *flags) authenticator() (Authenticator, error) {
	c := f.oidc
	c.Audience = cmp.Or(f.locks.Audience, f.resourceURL)
	return NewOIDC(c)
}

// resource says how clients get a token; nil if nobody has said where they
// reach this server.
func (f *flags) resource(name string) *oauthex.ProtectedResourceMetadata {
	if f.resourceURL == "" {
		return nil
	}
	return &oauthex.ProtectedResourceMetadata{
		Resource:               f.resourceURL,
		AuthorizationServers:   []string{f.oidc.IssuerURL},
		ScopesSupported:        f.oidcScopes,
		BearerMethodsSupported: []string{"header"},
		ResourceName:           name,
	}
}
