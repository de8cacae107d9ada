package mcpkit

import (
	"encoding/base64"
	"strings"
)

// shape is a kind of secret told by how it begins.
type shape struct {
	prefix string
	rest   string // the bytes that may follow: one of the alphabets below
	least  int    // how many must
	exact  bool   // exactly so many
	mixed  bool   // only when digits and both cases occur in them
}

const (
	alnum  = "0-9A-Za-z"
	word   = "0-9A-Za-z_-"
	dotted = "0-9A-Za-z_.-"
	upper  = "0-9A-Z"
	hashed = "0-9A-Za-z./$+=,_-"
	based  = "0-9A-Za-z+/="
)

// shapes are indexed by their first byte.
var shapes = func() (table [256][]shape) {
	for _, family := range []struct {
		prefixes string
		shape
	}{
		{"AKIA ASIA ABIA", shape{rest: upper, least: 16, exact: true}}, // AWS
		{"ghp_ gho_ ghu_ ghs_ ghr_", shape{rest: alnum, least: 30}},    // GitHub
		{"github_pat_", shape{rest: word, least: 30}},
		{"glpat- gldt- glrt- glptt- glcbt- gloas- glagent-", shape{rest: dotted, least: 16}}, // GitLab
		{"xoxb- xoxp- xoxa- xoxr- xoxs- xapp-", shape{rest: word, least: 10}},                // Slack
		{"xoxe.", shape{rest: dotted, least: 10}},
		{"sk_live_ sk_test_ rk_live_ rk_test_", shape{rest: alnum, least: 16}}, // Stripe
		{"whsec_", shape{rest: based, least: 16}},
		{"sk-ant- sk-proj- sk-svcacct-", shape{rest: word, least: 16}}, // Anthropic, OpenAI
		{"sk-", shape{rest: word, least: 20, mixed: true}},             // OpenAI and those like it
		{"gsk_ xai-", shape{rest: alnum, least: 30}},
		{"hf_", shape{rest: alnum, least: 30, mixed: true}},
		{"nvapi-", shape{rest: word, least: 30}},
		{"AIza", shape{rest: word, least: 35, exact: true}}, // Google
		{"GOCSPX-", shape{rest: word, least: 20}},
		{"ya29.", shape{rest: dotted, least: 20}},
		{"npm_", shape{rest: alnum, least: 30}},
		{"dckr_pat_ dckr_oat_ pypi-AgE", shape{rest: word, least: 20}},
		{"hvs. hvb. hvr.", shape{rest: word, least: 20}}, // Vault
		{"glsa_", shape{rest: word, least: 30}},          // Grafana
		{"glc_", shape{rest: based, least: 30}},
		{"eyJrIjoi", shape{rest: based, least: 16}},
		{"eyJhdXRocyI", shape{rest: based, least: 16}}, // base64 of {"auths"
		{"dop_v1_", shape{rest: alnum, least: 40}},
		{"shpat_", shape{rest: alnum, least: 30}},
		{"SG.", shape{rest: dotted, least: 60, mixed: true}},
		{"tskey-", shape{rest: word, least: 16, mixed: true}},
		{"ATATT3", shape{rest: based + "_-", least: 40}},
		{"AGE-SECRET-KEY-1", shape{rest: upper, least: 40}},
		{"$2a$ $2b$ $2y$ $5$ $6$ $y$ $argon2", shape{rest: hashed, least: 30}}, // password hashes
		{"$1$ pbkdf2_sha256$", shape{rest: hashed, least: 20}},
		{"$apr1$", shape{rest: hashed, least: 10}},
		{"SCRAM-SHA-256$", shape{rest: hashed + ":", least: 30}},
		{"{SHA} {SSHA} {SSHA512}", shape{rest: based, least: 20}},
	} {
		for _, family.prefix = range strings.Fields(family.prefixes) {
			first := family.prefix[0]
			table[first] = append(table[first], family.shape)
		}
	}
	for _, c := range []byte("eLM") { // read by code of their own
		if table[c] == nil {
			table[c] = []shape{}
		}
		table[c] = append(table[c], shape{prefix: "\x00"})
	}
	return table
}()

// alphabets turns each shape's rest into a lookup table.
var alphabets = func() map[string]*[256]bool {
	m := map[string]*[256]bool{}
	for _, list := range shapes {
		for _, s := range list {
			if m[s.rest] == nil {
				m[s.rest] = alphabet(s.rest)
			}
		}
	}
	return m
}()

// alphabet reads the notation of a regular expression's class.
func alphabet(class string) *[256]bool {
	var in [256]bool
	for i := 0; i < len(class); i++ {
		if i+2 < len(class) && class[i+1] == '-' {
			for c := class[i]; c <= class[i+2]; c++ {
				in[c] = true
			}
			i += 2
			continue
		}
		in[class[i]] = true
	}
	return &in
}

var (
	base64Bytes = alphabet(based)
	wordBytes   = alphabet(word)
)

// run is how far the bytes of in reach from p, a mark apart.
func run(s string, p int, in *[256]bool) int {
	from := p
	for p < len(s) && in[s[p]] {
		p++
	}
	if m := p - len(markPrefix) + 1; p < len(s) && s[p] == ':' && m >= from && isMark(s[m:min(len(s), m+markLen)]) {
		return m
	}
	return p
}

// shape looks for a secret that its beginning gives away.
func (t *scanner) shape(i int) int {
	rest := t.s[i:]
	for _, sh := range shapes[t.s[i]] {
		if !strings.HasPrefix(rest, sh.prefix) {
			continue
		}
		from := i + len(sh.prefix)
		to := run(t.s, from, alphabets[sh.rest])
		for to > from && strings.IndexByte(".,;:-", t.s[to-1]) >= 0 {
			to--
		}
		if n := to - from; n < sh.least || sh.exact && n != sh.least || sh.mixed && !isMixed(t.s[from:to]) {
			continue
		}
		return t.replace(i, to, t.r.mark(t.s[i:to]))
	}
	switch {
	case strings.HasPrefix(rest, "eyJ"):
		return t.jwt(i)
	case strings.HasPrefix(rest, pemBase64):
		return t.base64PEM(i)
	case rest[0] == 'M':
		return t.der(i)
	}
	return i
}

func isMixed(s string) bool {
	return strings.ContainsAny(s, "0123456789") && strings.ToLower(s) != s && strings.ToUpper(s) != s
}

// jwt looks for a JSON Web Token, perhaps cut short.
func (t *scanner) jwt(i int) int {
	header := run(t.s, i, wordBytes)
	to := header
	for parts := 1; parts < 5 && to+1 < len(t.s) && t.s[to] == '.' && wordBytes[t.s[to+1]]; parts++ {
		to = run(t.s, to+1, wordBytes)
	}
	switch {
	case header-i >= 10 && to-header > 8:
	case strings.HasPrefix(t.s[i:], "eyJhbGciOi") && header-i >= 20: // {"alg":
	default:
		return i
	}
	return t.replace(i, to, t.r.mark(t.s[i:to]))
}

// scheme looks for an Authorization header's value without its name.
func (t *scanner) scheme(i int) int {
	s := t.s[i:]
	if n := len("Bearer "); len(s) > n && strings.EqualFold(s[:n], "Bearer ") {
		v, ok := t.valueAt(i+n, wordValue)
		if ok && (looksSecret(v.text) || len(v.text) >= 24) && !v.quoted && !isMark(v.text) && !isPlaceholder(v.text) {
			return t.hide(v)
		}
	}
	if n := len("Basic "); len(s) > n && strings.EqualFold(s[:n], "Basic ") {
		to := run(t.s, i+n, base64Bytes)
		plain, err := base64.StdEncoding.DecodeString(t.s[i+n : to])
		if err == nil && strings.IndexByte(string(plain), ':') > 0 {
			return t.replace(i+n, to, t.r.mark(t.s[i+n:to]))
		}
	}
	return i
}

// azureSecret looks for a client secret of Microsoft Entra around the "Q~" in it.
func (t *scanner) azureSecret(i int) int {
	if i-5 < t.last || t.s[i-1] != 'Q' || t.s[i-2] < '0' || t.s[i-2] > '9' {
		return i
	}
	to := i + 1
	for to < len(t.s) && (wordBytes[t.s[to]] || t.s[to] == '~' || t.s[to] == '.') {
		to++
	}
	if n := to - i; n < 31 || n > 36 {
		return i
	}
	return t.replace(i-5, to, t.r.mark(t.s[i-5:to]))
}
