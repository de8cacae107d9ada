package mcpkit

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/pflag"
)

// Identity is as whom a server makes its requests to the backend.
type Identity string

// The identities a server can have.
const (
	IdentityServer Identity = "server" // its own: every caller may what the server may
	IdentityCaller Identity = "caller" // that of whoever makes the call, and never its own
)

func (i *Identity) add(fs *pflag.FlagSet, usage string) {
	fs.StringVar((*string)(i), "identity", string(IdentityServer), usage)
}

func (i Identity) check() error {
	if i != IdentityServer && i != IdentityCaller {
		return usagef("--identity=%s is not known; write server or caller", i)
	}
	return nil
}

// NameCaller returns a transport that tells the backend, in each request's
// User-Agent, which server asks and on whose behalf: "NAME call/ID agent/A
// run/R". Outside a call it is NAME alone.
func NameCaller(next http.RoundTripper, name string) http.RoundTripper {
	return &naming{next, name}
}

type naming struct {
	next http.RoundTripper
	name string
}

func (t *naming) RoundTrip(r *http.Request) (*http.Response, error) {
	agent := t.name
	call := CallFrom(r.Context())
	if call.ID != "" {
		agent += " call/" + call.ID
	}
	if call.Agent != "" {
		agent += " agent/" + HeaderText(call.Agent)
	}
	if call.Run != "" {
		agent += " run/" + HeaderText(call.Run)
	}
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", agent)
	return t.next.RoundTrip(r)
}

// headerBytes is the most of a text that goes into a header.
const headerBytes = 256

// HeaderText writes any text as one word that a header can hold, of at most 256
// bytes: what is not visible ASCII is percent-encoded, and so is the percent sign.
func HeaderText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		word := s[i : i+1]
		if s[i] <= ' ' || s[i] > '~' || s[i] == '%' {
			word = fmt.Sprintf("%%%02X", s[i])
		}
		if b.Len()+len(word) > headerBytes {
			break
		}
		b.WriteString(word)
	}
	return b.String()
}
