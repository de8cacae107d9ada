package locks

import (
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/issuer"
)

// everyone is the group of whoever the API server knows.
const everyone = "system:authenticated"

// oidcShelf is a shelf that c's tokens open, as far as l lets their callers.
func oidcShelf(t *testing.T, c mcpkit.OIDCConfig, l *Locks) *shelf {
	t.Helper()
	o, err := mcpkit.NewOIDC(c)
	require.NoError(t, err)
	return serve(t, l, mcpkit.Options{Authenticator: o})
}

// look is what the holder of token sees.
func (s *shelf) look(t *testing.T, token string) mcptest.Answer {
	t.Helper()
	return s.attach(t, token, "", nil).Call("shelf_get_item", map[string]any{"name": "saw"})
}

// may is kubectl's word on it.
func may(t *testing.T, name string, groups ...string) bool {
	t.Helper()
	args := []string{"auth", "can-i", "--list", "-n", "tools", "--as", name}
	for _, g := range groups {
		args = append(args, "--as-group", g)
	}
	list := kubectl(t, args...)
	require.Contains(t, list, "selfsubjectaccessreviews", "which everybody known may create")
	return regexp.MustCompile(`(?m)^tools\.toolcrib\.dev +\[\] +\[shelf_get_item\] +\[call\]$`).MatchString(list)
}

// allow lets the subjects look at the shelf.
func allow(t *testing.T, name, subjects string) {
	t.Helper()
	require.NoError(t, bed().Apply(t.Context(), []byte(strings.NewReplacer("NAME", name, "SUBJECTS", subjects).Replace(`
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: NAME, namespace: tools}
rules: [{apiGroups: [toolcrib.dev], resources: [tools], verbs: [call], resourceNames: [shelf_get_item]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: NAME, namespace: tools}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: NAME}
subjects: [SUBJECTS]
`))))
}

func TestRBACGrantsTheNamesThatAnIssuerGives(t *testing.T) {
	t.Parallel()
	web := httptest.NewUnstartedServer(nil)
	login := "http://" + web.Listener.Addr().String()
	i := issuer.New(login)
	web.Config.Handler = i
	web.Start()
	t.Cleanup(web.Close)

	l, _ := openAs(t, server(t), "oidc")
	allow(t, "oidc", `{apiGroup: rbac.authorization.k8s.io, kind: User, name: "`+login+`#ada"}, {apiGroup: rbac.authorization.k8s.io, kind: Group, name: "sso:platform"}`)
	shelf := oidcShelf(t, mcpkit.OIDCConfig{IssuerURL: login, Audience: audience, GroupsClaim: "groups", GroupsPrefix: "sso:"}, l)
	for _, c := range []struct {
		sub    string
		groups []string
		may    bool
	}{
		{"ada", nil, true},
		{"bea", []string{"platform"}, true},
		{"cy", []string{"other"}, false},
		{"dee", nil, false},
		{"system:admin", []string{"system:masters"}, false},
	} {
		name, groups := login+"#"+c.sub, []string{everyone}
		for _, g := range c.groups {
			groups = append(groups, "sso:"+g)
		}
		require.Equal(t, c.may, may(t, name, groups...), name)
		a := shelf.look(t, i.Token(audience, map[string]any{"sub": c.sub, "groups": c.groups}))
		require.Equal(t, !c.may, a.IsError, a.Text)
		if c.may {
			require.Equal(t, "caller: "+name, a.Text)
		} else {
			require.Contains(t, a.Text, "denied: "+name+" may not call shelf_get_item; somebody who may grant it has to")
		}
	}
}

// TestTheAPIServerIsAnIssuerLikeAnyOther holds what other tests prove with the
// testbed's issuer against one that somebody else wrote.
func TestTheAPIServerIsAnIssuerLikeAnyOther(t *testing.T) {
	t.Parallel()
	iss := clusterIssuer(t)
	ca := filepath.Join(bed().Dir, "pki", "ca.crt")
	l, _ := openAs(t, server(t), "issuer")
	config := mcpkit.OIDCConfig{IssuerURL: iss, Audience: audience, CAFile: ca}
	token := account(t, "issued", audience)
	name := iss + "#system:serviceaccount:agents:issued"
	shelf := oidcShelf(t, config, l)
	require.Contains(t, shelf.look(t, token).Text, "denied: "+name+" may not call")
	require.False(t, may(t, "system:serviceaccount:agents:issued", everyone))

	allow(t, "issued", `{apiGroup: rbac.authorization.k8s.io, kind: User, name: "`+name+`"}`)
	fresh, _ := openAs(t, server(t), "issuer")
	require.Equal(t, "caller: "+name, oidcShelf(t, config, fresh).look(t, token).Text)
	require.True(t, may(t, name, everyone))
	require.False(t, may(t, "system:serviceaccount:agents:issued", everyone), "the ServiceAccount is somebody else")

	o, err := mcpkit.NewOIDC(config)
	require.NoError(t, err)
	key := clusterKey(t)
	caller, err := o.Authenticate(t.Context(), forge(t, key, token, expiring(time.Minute)))
	require.NoError(t, err, "signed by the issuer, though it names no key")
	require.Equal(t, name, caller.Name)
	body := strings.Split(token, ".")[1]
	for told, forged := range map[string]string{
		"expected audience":                         account(t, "issued", "another.tools.svc"),
		"the token has expired":                     forge(t, key, token, expiring(-time.Minute)),
		"before the nbf":                            forge(t, key, token, map[string]any{"nbf": time.Now().Add(10 * time.Minute).Unix()}),
		"issued by a different provider":            forge(t, key, token, map[string]any{"iss": "https://kubernetes.default.svc"}),
		"cannot unmarshal number":                   forge(t, key, token, map[string]any{"sub": 7}),
		"its key is none that the issuer publishes": forge(t, newKey(t), token, nil),
		"its signature is not the issuer's":         strings.Split(token, ".")[0] + "." + strings.Split(forge(t, key, token, map[string]any{"sub": "ada"}), ".")[1] + "." + strings.Split(token, ".")[2],
		`unexpected signature algorithm "none"`:     part(t, map[string]any{"alg": "none"}) + "." + body + ".",
		`unexpected signature algorithm "HS256"`:    part(t, map[string]any{"alg": "HS256"}) + "." + body + ".c2lnbmVk",
	} {
		_, err := o.Authenticate(t.Context(), forged)
		require.Equal(t, mcpkit.Denied, refusal(t, err).Kind)
		require.Contains(t, refusal(t, err).Text, told)
	}

	config.UsernamePrefix = "-"
	bare, err := mcpkit.NewOIDC(config)
	require.NoError(t, err)
	_, err = bare.Authenticate(t.Context(), token)
	require.Contains(t, refusal(t, err).Text, `it names "system:serviceaccount:agents:issued", and names that begin with system: are the cluster's own`)
}
