package mcpkit

import "net/http"

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
		agent += " agent/" + call.Agent
	}
	if call.Run != "" {
		agent += " run/" + call.Run
	}
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", agent)
	return t.next.RoundTrip(r)
}
