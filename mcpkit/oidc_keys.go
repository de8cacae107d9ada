package mcpkit

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"golang.org/x/time/rate"
)

// signatures are the algorithms a token may be signed with: those whose keys
// an issuer can publish.
var signatures = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

var signatureNames = func() (names []string) {
	for _, s := range signatures {
		names = append(names, string(s))
	}
	return names
}()

// How an issuer is asked for its keys. A token by an unknown key has them
// fetched anew, but nobody can make this server flood the issuer.
const (
	keysMaxAge     = 10 * time.Minute // then they are fetched again: one may be withdrawn
	fetchTimeout   = 5 * time.Second
	fetchEvery     = 5 * time.Second // on average
	fetchesAtOnce  = 3
	maxIssuerBytes = 1 << 20 // of one answer
)

// issuerKeys are the keys an issuer signs with, as it published them last.
type issuerKeys struct {
	issuer string
	client *http.Client
	now    func() time.Time

	mu      sync.Mutex
	fetches *rate.Limiter
	keys    []jose.JSONWebKey
	fetched time.Time     // when keys were; zero if never
	err     error         // of the last fetch
	ended   chan struct{} // closed when the fetch under way ends; nil if none is
}

func newIssuerKeys(issuer string, client *http.Client, now func() time.Time) *issuerKeys {
	return &issuerKeys{issuer: issuer, client: client, now: now, fetches: rate.NewLimiter(rate.Every(fetchEvery), fetchesAtOnce)}
}

// issuerClient returns a client that trusts the authorities in caFile, and goes
// nowhere the issuer's documents do not name.
func issuerClient(caFile string) (*http.Client, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return nil, err
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM", caFile)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	stay := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &http.Client{Transport: transport, CheckRedirect: stay}, nil
}

var errUnknownKey = errors.New("its key is none that the issuer publishes")

// verify returns what the token says, if one of the issuer's keys signed it.
// The error is an *Error of kind Unavailable if that cannot be found out.
func (k *issuerKeys) verify(ctx context.Context, token string) ([]byte, error) {
	jws, err := jose.ParseSignedCompact(token, signatures)
	if err != nil {
		return nil, err
	}
	payload, err := openWith(k.current(ctx), jws)
	if !errors.Is(err, errUnknownKey) {
		return payload, err
	}
	keys, unavailable := k.newer(ctx)
	if payload, err = openWith(keys, jws); errors.Is(err, errUnknownKey) && unavailable != nil {
		return nil, Wrap(Unavailable, unavailable, "who calls cannot be found out: the issuer %s does not hand out the keys it signs with; try again in a few seconds", k.issuer)
	}
	return payload, err
}

// openWith checks the signature of jws. An issuer with one key need not name it,
// so a token that names none may be signed by a newer one.
func openWith(keys []jose.JSONWebKey, jws *jose.JSONWebSignature) ([]byte, error) {
	header := jws.Signatures[0].Header
	err := errUnknownKey
	for _, key := range keys {
		if header.KeyID != "" && header.KeyID != key.KeyID || key.Algorithm != "" && key.Algorithm != header.Algorithm {
			continue
		}
		if payload, failed := jws.Verify(key); failed == nil {
			return payload, nil
		}
		if header.KeyID != "" {
			err = errors.New("its signature is not the issuer's")
		}
	}
	return nil, err
}

// current returns the keys that are known, fetched anew if they are old. While
// the issuer does not answer, the old ones serve and nobody waits for it twice.
func (k *issuerKeys) current(ctx context.Context) []jose.JSONWebKey {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fetched.IsZero() || k.now().Sub(k.fetched) < keysMaxAge {
		return k.keys
	}
	down := k.err != nil
	if ended := k.fetch(); ended != nil && !down {
		k.wait(ctx, ended)
	}
	return k.keys
}

// newer returns the keys as the issuer publishes them now, or did a moment ago.
// The error says why these are older.
func (k *issuerKeys) newer(ctx context.Context) ([]jose.JSONWebKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if ended := k.fetch(); ended != nil {
		k.wait(ctx, ended)
	}
	return k.keys, errors.Join(k.err, ctx.Err())
}

// wait gives up the lock until ended or ctx is done.
func (k *issuerKeys) wait(ctx context.Context, ended <-chan struct{}) {
	k.mu.Unlock()
	defer k.mu.Lock()
	select {
	case <-ended:
	case <-ctx.Done():
	}
}

// fetch begins a fetch, unless there were too many, and returns what is closed
// at the end of the one under way. One caller that leaves does not end it for
// the others. It needs the lock.
func (k *issuerKeys) fetch() <-chan struct{} {
	if k.ended == nil && k.fetches.AllowN(k.now(), 1) {
		ended := make(chan struct{})
		k.ended = ended
		go func() {
			defer close(ended)
			ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
			defer cancel()
			keys, err := k.ask(ctx)
			k.mu.Lock()
			defer k.mu.Unlock()
			if k.ended, k.err = nil, err; err == nil {
				k.keys, k.fetched = keys, k.now()
			}
		}()
	}
	return k.ended
}

// ask asks the issuer where its keys are, and for them: OpenID Connect
// Discovery 1.0, section 4, and RFC 7517, section 5.
func (k *issuerKeys) ask(ctx context.Context) ([]jose.JSONWebKey, error) {
	var about struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := k.get(ctx, strings.TrimSuffix(k.issuer, "/")+"/.well-known/openid-configuration", &about); err != nil {
		return nil, err
	}
	if about.Issuer != k.issuer {
		return nil, fmt.Errorf("the issuer calls itself %q; --oidc-issuer-url must be exactly that", about.Issuer)
	}
	if err := checkURL(about.Keys); err != nil {
		return nil, fmt.Errorf("the issuer's jwks_uri %q %w", about.Keys, err)
	}
	var published struct{ Keys []json.RawMessage }
	if err := k.get(ctx, about.Keys, &published); err != nil {
		return nil, err
	}
	var keys []jose.JSONWebKey
	for _, raw := range published.Keys {
		var key jose.JSONWebKey
		if json.Unmarshal(raw, &key) == nil && key.IsPublic() && key.Use != "enc" {
			keys = append(keys, key)
		}
	}
	return keys, nil
}

func (k *issuerKeys) get(ctx context.Context, address string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s, where 200 is needed; redirects are not followed", address, resp.Status)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxIssuerBytes)).Decode(into); err != nil {
		return fmt.Errorf("GET %s: %w", address, err)
	}
	return nil
}
