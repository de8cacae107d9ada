// Package issuer is an OpenID Connect issuer and OAuth authorization server for
// tests and demos: people log in with the authorization code flow, and its keys
// can be rotated. It speaks the protocols as issuers in the field do, and can
// also sign what they would not. It keeps nothing and asks nobody for a
// password, so it is no issuer for anything else.
package issuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"time"
)

// lifetime is how long a token is good for.
const lifetime = time.Hour

// Issuer is one issuer. It serves what lies below its URL. It is safe for
// concurrent use.
type Issuer struct {
	url string
	mux *http.ServeMux

	mu      sync.Mutex
	keys    []key           // published; the last one signs
	person  map[string]any  // claims of whoever is logged in at the browser
	clients map[string]bool // id and redirect URI, joined
	codes   map[string]grant
}

type key struct {
	id      string
	private *ecdsa.PrivateKey
}

// New returns the issuer that is reached at url.
func New(url string) *Issuer {
	i := &Issuer{url: url, mux: http.NewServeMux(), clients: map[string]bool{}, codes: map[string]grant{}}
	i.Rotate()
	i.mux.HandleFunc("GET /.well-known/openid-configuration", i.describe)
	i.mux.HandleFunc("GET /keys", i.publish)
	i.mux.HandleFunc("POST /register", i.register)
	i.mux.HandleFunc("GET /authorize", i.authorize)
	i.mux.HandleFunc("POST /token", i.token)
	return i
}

// ServeHTTP implements [http.Handler].
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) { i.mux.ServeHTTP(w, r) }

// Rotate makes the issuer sign with a new key. Those before stay published.
func (i *Issuer) Rotate() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // the curve is known, and there is no machine without randomness
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key{rand.Text(), private})
}

// Withdraw stops publishing every key but the one that signs.
func (i *Issuer) Withdraw() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = i.keys[len(i.keys)-1:]
}

// PublicKey returns the key by which signatures are checked, and its id.
func (i *Issuer) PublicKey() (id string, public *ecdsa.PublicKey) {
	k := i.current()
	return k.id, &k.private.PublicKey
}

func (i *Issuer) current() key {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.keys[len(i.keys)-1]
}

// Token returns a signed token for the audience that is good for an hour.
// Claims add to what it says, or replace it; one that is nil is left out.
func (i *Issuer) Token(audience string, claims map[string]any) string {
	now := time.Now()
	all := map[string]any{"iss": i.url, "aud": audience, "iat": now.Unix(), "exp": now.Add(lifetime).Unix()}
	maps.Copy(all, claims)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return i.Sign(map[string]any{}, all)
}

// Sign returns a token with exactly these claims. Fields of the header add to
// those that name the algorithm and the key, or replace them.
func (i *Issuer) Sign(header, claims map[string]any) string {
	k := i.current()
	all := map[string]any{"alg": "ES256", "typ": "JWT", "kid": k.id}
	maps.Copy(all, header)
	signed := encode(all) + "." + encode(claims)
	sum := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, k.private, sum[:])
	if err != nil {
		panic(err) // only a broken key or no randomness
	}
	signature := make([]byte, 64)
	r.FillBytes(signature[:32])
	s.FillBytes(signature[32:])
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func encode(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // the test hands in what JSON cannot say
	}
	return base64.RawURLEncoding.EncodeToString(b)
}
