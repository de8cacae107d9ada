package issuer

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
)

// grant is what a code can be exchanged for, and by whom.
type grant struct {
	client, redirect, challenge, resource string
	claims                                map[string]any
}

// LogIn makes claims those of the person at the browser, who agrees to
// everything from now on.
func (i *Issuer) LogIn(claims map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.person = maps.Clone(claims)
}

// register lets any program be a client (RFC 7591).
func (i *Issuer) register(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		RedirectURIs []string `json:"redirect_uris"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || len(asked.RedirectURIs) == 0 {
		refuse(w, "invalid_redirect_uri", "redirect_uris must list at least one")
		return
	}
	client := rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, uri := range asked.RedirectURIs {
		i.clients[client+" "+uri] = true
	}
	answer(w, http.StatusCreated, map[string]any{
		"client_id": client, "redirect_uris": asked.RedirectURIs,
		"token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code"},
	})
}

// authorize sends the browser back with a code (RFC 6749, section 4.1.1, with
// PKCE, RFC 7636, and the resource the token is for, RFC 8707).
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	g := grant{client: q.Get("client_id"), redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), resource: q.Get("resource")}
	i.mu.Lock()
	defer i.mu.Unlock()
	back, err := url.Parse(g.redirect)
	switch {
	case err != nil || !i.clients[g.client+" "+g.redirect]:
		refuse(w, "invalid_client", "the client is not registered with this redirect_uri")
		return
	case i.person == nil:
		refuse(w, "access_denied", "nobody is logged in")
		return
	case q.Get("response_type") != "code" || g.challenge == "" || q.Get("code_challenge_method") != "S256" || g.resource == "":
		refuse(w, "invalid_request", "response_type=code, an S256 code_challenge and a resource are needed")
		return
	}
	g.claims = i.person
	code := rand.Text()
	i.codes[code] = g
	back.RawQuery = url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.url}}.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// token exchanges a code, once, for a token (RFC 6749, section 4.1.3).
func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	code := r.PostFormValue("code")
	i.mu.Lock()
	g, ok := i.codes[code]
	delete(i.codes, code)
	i.mu.Unlock()
	proof := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	given := grant{
		client: r.PostFormValue("client_id"), redirect: r.PostFormValue("redirect_uri"), resource: r.PostFormValue("resource"),
		challenge: base64.RawURLEncoding.EncodeToString(proof[:]),
	}
	switch {
	case r.PostFormValue("grant_type") != "authorization_code":
		refuse(w, "unsupported_grant_type", "grant_type must be authorization_code")
	case !ok || given.client != g.client || given.redirect != g.redirect || given.challenge != g.challenge:
		refuse(w, "invalid_grant", "the code is not for this client, or is used up")
	case given.resource != g.resource:
		refuse(w, "invalid_target", "the code is for another resource")
	default:
		answer(w, http.StatusOK, map[string]any{
			"access_token": i.Token(g.resource, g.claims), "token_type": "Bearer", "expires_in": int(lifetime.Seconds()),
		})
	}
}

func refuse(w http.ResponseWriter, code, description string) {
	answer(w, http.StatusBadRequest, map[string]string{"error": code, "error_description": description})
}
