package mcpkit_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

const login = "https://login.example.com"

func TestClaimsNameTheCallerAsTheAPIServerWould(t *testing.T) {
	everyone := "system:authenticated"
	byMail := mcpkit.OIDCConfig{UsernameClaim: "email", GroupsClaim: "groups"}
	for _, c := range []struct {
		config mcpkit.OIDCConfig
		claims string
		name   string
		groups []string
	}{
		{mcpkit.OIDCConfig{}, `{"sub":"ada","groups":["a"]}`, login + "#ada", []string{everyone}},
		{mcpkit.OIDCConfig{UsernamePrefix: "-"}, `{"sub":"ada"}`, "ada", []string{everyone}},
		{mcpkit.OIDCConfig{UsernamePrefix: "sso:"}, `{"sub":"system:masters"}`, "sso:system:masters", []string{everyone}},
		{mcpkit.OIDCConfig{UsernameClaim: "name"}, `{"sub":"1","name":"Ada Lovelace"}`, login + "#Ada Lovelace", []string{everyone}},
		{byMail, `{"email":"ada@example.com"}`, "ada@example.com", []string{everyone}},
		{byMail, `{"email":"ada@example.com","email_verified":true,"groups":["a","b"]}`, "ada@example.com", []string{"a", "b", everyone}},
		{byMail, `{"email":"ada@example.com","groups":"a"}`, "ada@example.com", []string{"a", everyone}},
		{byMail, `{"email":"ada@example.com","groups":null}`, "ada@example.com", []string{everyone}},
		{byMail, `{"email":"ada@example.com","groups":[]}`, "ada@example.com", []string{everyone}},
		{mcpkit.OIDCConfig{GroupsClaim: "groups", GroupsPrefix: "sso:"}, `{"sub":"ada","groups":["system:masters"]}`, login + "#ada", []string{"sso:system:masters", everyone}},
	} {
		c.config.IssuerURL = login
		caller, err := newOIDC(t, c.config).CallerOf([]byte(c.claims))
		require.NoError(t, err, c.claims)
		require.Equal(t, mcpkit.Caller{Name: c.name, Groups: c.groups}, caller, c.claims)
	}
}

func TestClaimsThatNameNobodyAreRefused(t *testing.T) {
	bySub := mcpkit.OIDCConfig{UsernamePrefix: "-", GroupsClaim: "groups"}
	byMail := mcpkit.OIDCConfig{UsernameClaim: "email"}
	for _, c := range []struct {
		config mcpkit.OIDCConfig
		claims string
		told   string
	}{
		{bySub, `[]`, "no JSON object"},
		{bySub, `{}`, "not a string with something in it"},
		{bySub, `{"Sub":"ada"}`, "not a string with something in it"},
		{bySub, `{"sub":""}`, "not a string with something in it"},
		{bySub, `{"sub":null}`, "not a string with something in it"},
		{bySub, `{"sub":["ada"]}`, "not a string with something in it"},
		{bySub, `{"sub":7}`, "not a string with something in it"},
		{bySub, `{"sub":"system:masters"}`, "are the cluster's own"},
		{bySub, `{"sub":"system:serviceaccount:kagent:troubleshooter"}`, "are the cluster's own"},
		{mcpkit.OIDCConfig{UsernamePrefix: "sys"}, `{"sub":"tem:admin"}`, "are the cluster's own"},
		{bySub, `{"sub":"ada\nlevel=info"}`, "cannot be seen"},
		{bySub, `{"sub":"\u202eada"}`, "cannot be seen"},
		{bySub, "{\"sub\":\"ada\xff\"}", "cannot be seen"},
		{bySub, `{"sub":"ada","groups":{"a":1}}`, "neither a name nor a list"},
		{bySub, `{"sub":"ada","groups":["a",1]}`, "neither a name nor a list"},
		{bySub, `{"sub":"ada","groups":7}`, "neither a name nor a list"},
		{bySub, `{"sub":"ada","groups":["a",""]}`, "a group without a name"},
		{bySub, `{"sub":"ada","groups":["a","system:masters"]}`, "are the cluster's own"},
		{bySub, `{"sub":"ada","groups":"system:masters"}`, "are the cluster's own"},
		{bySub, `{"sub":"ada","groups":["a\u0000"]}`, "cannot be seen"},
		{byMail, `{"email":"ada@example.com","email_verified":false}`, "has not verified its e-mail address"},
		{byMail, `{"email":"ada@example.com","email_verified":"true"}`, "has not verified its e-mail address"},
		{byMail, `{"email":"ada@example.com","email_verified":null}`, "has not verified its e-mail address"},
		{byMail, `{"email":"system:admin"}`, "are the cluster's own"},
	} {
		c.config.IssuerURL = login
		_, err := newOIDC(t, c.config).CallerOf([]byte(c.claims))
		require.ErrorContains(t, err, c.told, c.claims)
	}
}

// FuzzOIDCClaims holds whatever an issuer may say to what a caller may be.
func FuzzOIDCClaims(f *testing.F) {
	for _, claims := range []string{
		`{"sub":"ada","email":"ada@example.com","email_verified":true,"groups":["a","b"]}`,
		`{"sub":"system:masters","groups":"system:masters"}`, `{"sub":"\u200bsystem:x"}`, `{"sub":["a"],"groups":[["a"]]}`, `{"sub":"a","sub":"system:b"}`,
	} {
		f.Add([]byte(claims), "sub", "-", "")
		f.Add([]byte(claims), "email", "", "sso:")
		f.Add([]byte(claims), "sub", "sys", "sys")
	}
	f.Fuzz(func(t *testing.T, claims []byte, claim, prefix, groupsPrefix string) {
		o, err := mcpkit.NewOIDC(mcpkit.OIDCConfig{
			IssuerURL: login, Audience: audience, UsernameClaim: claim, UsernamePrefix: prefix, GroupsClaim: "groups", GroupsPrefix: groupsPrefix,
		})
		if err != nil {
			return
		}
		caller, err := o.CallerOf(claims)
		if err != nil {
			require.Empty(t, caller)
			return
		}
		require.True(t, json.Valid(claims))
		last := len(caller.Groups) - 1
		require.Equal(t, "system:authenticated", caller.Groups[last])
		for _, name := range append([]string{caller.Name}, caller.Groups[:last]...) {
			require.NotEmpty(t, name)
			require.False(t, strings.HasPrefix(name, "system:"), "%q", name)
			require.True(t, utf8.ValidString(name), "%q", name)
			require.Equal(t, -1, strings.IndexFunc(name, unicode.IsControl), "%q", name)
		}
	})
}
