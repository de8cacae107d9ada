package model

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/linger"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Secrets is where keys and certificates are read, at each use anew. Its errors
// say where a value was looked for and hold none.
type Secrets interface {
	Secret(name, key string) (string, error)
}

// Options are what a ModelConfig does not say. The zero value will do.
type Options struct {
	// Key is the provider's key where the ModelConfig names no Secret, read at
	// each request: none if nil.
	Key func() (string, error)
	// Silence is how long a provider may say nothing while an answer is waited
	// for; 5 minutes if 0. It must leave a model the time to think.
	Silence time.Duration
	// Longest is how long one try of an answer may take, if the ModelConfig has
	// no timeout; 30 minutes if 0.
	Longest time.Duration
	// Tries is how often an answer is asked for at most; 6 if 0.
	Tries int
	// Within is how long after the first try another may begin; 10 minutes if 0.
	Within time.Duration
	// Retrying hears, before each wait, why and for how long.
	Retrying func(why *Error, wait time.Duration)

	// Wait waits between tries. It returns the context's error if that ends
	// first. Now is its clock. They are the machine's if nil.
	Wait func(ctx context.Context, d time.Duration) error
	Now  func() time.Time
}

// provider is one provider's API.
type provider interface {
	// ask asks once. Its error is a *Error, or whatever broke the connection
	// or the stream; the reply holds the usage known so far even then.
	ask(ctx context.Context, c *http.Client, key string, r Request, say func(text string)) (Reply, error)
}

// client is a Model: a provider that is asked again where that helps.
type client struct {
	Options
	provider provider
	name     string // of the provider, for people
	key      func() (string, error)
	needsKey bool
	network  *network
	redactor *mcpkit.Redactor
}

// Open makes ready to ask the model of a ModelConfig, which must be normalised.
// Nothing is asked or read before [Model.Generate]: keys and certificates are
// read at each request, so that they can change at any time.
func Open(cfg kagent.ModelConfig, secrets Secrets, o Options) (Model, error) {
	spec := &cfg.Spec
	at, err := endpointOf(spec)
	if err != nil {
		return nil, fmt.Errorf("model %s: %w", spec.Model, err)
	}
	c := &client{Options: o.filled(), name: string(spec.Provider), key: o.Key, needsKey: at.needsKey}
	c.redactor = mcpkit.NewRedactor(fmt.Append(nil, rand.Uint64(), rand.Uint64()))
	c.network = &network{tls: spec.TLS, secrets: secrets}
	if name := spec.APIKeySecret; name != "" {
		c.key = func() (string, error) { return secrets.Secret(name, spec.APIKeySecretKey) }
	}
	if at.timeout > 0 {
		c.Longest = at.timeout
	}
	headers := map[string]string{"User-Agent": "toolcrib-agentcore/" + mcpkit.BuildVersion()}
	for name, value := range spec.DefaultHeaders {
		headers[http.CanonicalHeaderKey(name)] = value
	}
	if spec.Provider == kagent.ProviderAnthropic {
		c.provider = newMessages(spec, at, headers)
	} else {
		c.provider, err = newChat(at, headers)
		if err != nil {
			return nil, fmt.Errorf("model %s: %w", spec.Model, err)
		}
	}
	return c, nil
}

func (o Options) filled() Options {
	if o.Silence <= 0 {
		o.Silence = 5 * time.Minute
	}
	if o.Longest <= 0 {
		o.Longest = 30 * time.Minute
	}
	if o.Tries <= 0 {
		o.Tries = 6
	}
	if o.Within <= 0 {
		o.Within = 10 * time.Minute
	}
	if o.Wait == nil {
		o.Wait = linger.For
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Retrying == nil {
		o.Retrying = func(*Error, time.Duration) {}
	}
	return o
}

// readKey reads the key that is current now.
func (c *client) readKey() (string, *Error) {
	key, err := "", error(nil)
	if c.key != nil {
		key, err = c.key()
	}
	key = strings.TrimSpace(key)
	switch {
	case err != nil:
		return "", &Error{Kind: Unauthorized, Text: "no key: " + err.Error()}
	case key == "" && c.needsKey:
		return "", &Error{Kind: Unauthorized, Text: "no key: put one into a Secret and name it in apiKeySecret and apiKeySecretKey of the ModelConfig; on your own machine the environment may hold it, such as in ANTHROPIC_API_KEY or OPENAI_API_KEY"}
	case strings.ContainsAny(key, "\r\n\x00"):
		return "", &Error{Kind: Unauthorized, Text: "the key has more than one line: the Secret must hold the key alone"}
	}
	return key, nil
}
