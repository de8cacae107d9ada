package locks

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// Headers of an impersonated request. Package transport of Kubernetes' client
// has the same, for one user for good.
const (
	impersonate      = "Impersonate-"
	impersonateUser  = impersonate + "User"
	impersonateGroup = impersonate + "Group"
	impersonateExtra = impersonate + "Extra-"
)

// ActAsCaller returns a transport whose every request the API server takes as
// the caller's whose call it belongs to, or refuses: never as the server's own.
// The agent, the run and the call go along for the audit log. A request outside
// a call, or of a caller that no header can name, is an *mcpkit.Error of kind
// Denied and is not sent.
func ActAsCaller(next http.RoundTripper) http.RoundTripper { return &acting{next} }

type acting struct{ next http.RoundTripper }

func (t *acting) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	for name := range r.Header {
		if strings.HasPrefix(strings.ToLower(name), strings.ToLower(impersonate)) {
			delete(r.Header, name)
		}
	}
	if err := actAs(r.Header, mcpkit.CallFrom(r.Context())); err != nil {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, err
	}
	return t.next.RoundTrip(r)
}

// actAs writes whose call it is. The UID is left out: nothing that RBAC decides
// depends on it, and naming it takes a right of its own.
func actAs(h http.Header, call *mcpkit.Call) error {
	caller := call.Caller
	if caller.Name == "" {
		return mcpkit.Errorf(mcpkit.Denied, "this server asks the cluster as its callers alone (--identity=caller), and this request belongs to no call")
	}
	if err := add(h, impersonateUser, caller.Name); err != nil {
		return err
	}
	if !strings.HasPrefix(caller.Name, "system:serviceaccount:") { // whose groups the API server knows
		for _, group := range caller.Groups {
			if group == "system:authenticated" { // which it adds
				continue
			}
			if err := add(h, impersonateGroup, group); err != nil {
				return err
			}
		}
	}
	if err := addExtra(h, caller.Extra); err != nil {
		return err
	}
	for key, value := range map[string]string{mcpkit.MetaAgent: call.Agent, mcpkit.MetaRun: call.Run, mcpkit.MetaCall: call.ID} {
		if value != "" {
			h.Set(impersonateExtra+headerKey(key), mcpkit.HeaderText(value))
		}
	}
	return nil
}

// Keys of a caller's extra that are not sent.
const (
	described = "authentication.kubernetes.io/" // the pod and the node of a ServiceAccount's token, which nobody decides by
	ownKeys   = "toolcrib.dev/"                 // for us alone to write
)

// addExtra sends what else the cluster knows of a caller, since it may be there
// to narrow what the caller may do.
func addExtra(h http.Header, extra map[string][]string) error {
	for key, values := range extra {
		if strings.HasPrefix(key, described) || strings.HasPrefix(key, ownKeys) {
			continue
		}
		if key == "" || key != strings.ToLower(key) {
			return mcpkit.Errorf(mcpkit.Denied, "the caller cannot be acted for: its extra %q is not in lower case", key)
		}
		for _, value := range values {
			if err := add(h, impersonateExtra+headerKey(key), value); err != nil {
				return err
			}
		}
	}
	return nil
}

// add adds a header that must arrive as it is. Spaces around a value would be
// lost on the way, and with them the difference between two names.
func add(h http.Header, name, value string) error {
	control := func(r rune) bool { return r < ' ' || r == 0x7f }
	if value == "" || strings.TrimSpace(value) != value || strings.ContainsFunc(value, control) {
		return mcpkit.Errorf(mcpkit.Denied, "the caller cannot be acted for: no header can say %q", value)
	}
	h.Add(name, value)
	return nil
}

// headerKey percent-encodes what cannot stand in a header's name (RFC 9110,
// section 5.6.2), as the API server decodes it.
func headerKey(key string) string {
	var b strings.Builder
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', strings.IndexByte("!#$&'*+-.^_`|~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02x", c)
		}
	}
	return b.String()
}
