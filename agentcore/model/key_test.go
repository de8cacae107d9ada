package model_test

import (
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
)

func TestKeysAreReadAtEachRequest(t *testing.T) {
	t.Parallel()
	for w := range wires {
		t.Run(w, func(t *testing.T) {
			t.Parallel()
			server := start(t, "rules:\n- say: Yes.\n")
			held := keys()
			m, err := model.Open(wire(t, w, server.URL), held, model.Options{})
			require.NoError(t, err)
			_, err = m.Generate(t.Context(), ask("?"), nil)
			require.NoError(t, err)

			server.SetKey("sk-newer-0123456789")
			_, err = m.Generate(t.Context(), ask("?"), nil)
			failed(t, err, model.Unauthorized)
			held.set("llm/key", "sk-newer-0123456789\n")
			_, err = m.Generate(t.Context(), ask("?"), nil)
			require.NoError(t, err)
		})
	}
}

// TestAKeyThatChangesMeanwhile: the key is refused, and another is there by then.
func TestAKeyThatChangesMeanwhile(t *testing.T) {
	t.Parallel()
	held := keys()
	p := serve(t, func(w http.ResponseWriter, r *http.Request) {
		held.set("llm/key", "sk-newer-0123456789")
		refuse(401, `{"error":{"message":"revoked"}}`)(w, r)
	}, chatDone)
	m, err := model.Open(wire(t, "OpenAI", p.URL), held, model.Options{})
	require.NoError(t, err)
	_, err = m.Generate(t.Context(), ask("?"), nil)
	require.NoError(t, err)
	require.Equal(t, "Bearer sk-newer-0123456789", p.requests()[1].Header.Get("Authorization"))
}

func TestKeysThatAreMissing(t *testing.T) {
	t.Parallel()
	p := serve(t, chatDone)
	none := &secrets{values: map[string]string{}}
	for name, c := range map[string]struct {
		spec string
		o    model.Options
		want string
	}{
		"a Secret that is not there": {wires["Anthropic"], model.Options{}, `no key: no key "key" in Secret "llm"`},
		"no Secret":                  {`{provider: Anthropic, model: m, anthropic: {baseUrl: "URL"}}`, model.Options{}, "put one into a Secret"},
		"an empty key":               {`{provider: Gemini, model: m}`, model.Options{Key: func() (string, error) { return " \n", nil }}, "put one into a Secret"},
		"a source that fails":        {`{provider: OpenAI, model: m}`, model.Options{Key: func() (string, error) { return "", errors.New("OPENAI_API_KEY is not set") }}, "OPENAI_API_KEY is not set"},
		"two lines":                  {`{provider: OpenAI, model: m}`, model.Options{Key: func() (string, error) { return "sk-a\nsk-b", nil }}, "more than one line"},
	} {
		m, err := model.Open(config(t, c.spec, p.URL), none, c.o)
		require.NoError(t, err, name)
		_, err = m.Generate(t.Context(), ask("?"), nil)
		require.Contains(t, failed(t, err, model.Unauthorized).Text, c.want, name)
	}
	require.Empty(t, p.requests())

	m, err := model.Open(config(t, `{provider: OpenAI, model: m, openAI: {baseUrl: "URL/v1"}}`, p.URL), none, model.Options{Key: func() (string, error) { return "sk-env", nil }})
	require.NoError(t, err)
	_, err = m.Generate(t.Context(), ask("?"), nil)
	require.NoError(t, err)
	require.Equal(t, "Bearer sk-env", only(t, p).Header.Get("Authorization"))
}

func TestWhomToTrust(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(chatDone)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	authority := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
	try := func(tls string, held *secrets) error {
		m, err := model.Open(config(t, `{provider: OpenAI, model: m, openAI: {baseUrl: "URL/v1"}`+tls+`}`, server.URL), held, model.Options{})
		require.NoError(t, err)
		_, err = m.Generate(t.Context(), ask("?"), nil)
		return err
	}
	const named = `, tls: {caCertSecretRef: ca, caCertSecretKey: ca.crt, disableSystemCAs: true}`
	held := &secrets{values: map[string]string{"ca/ca.crt": authority}}
	require.NoError(t, try(named, held))
	require.NoError(t, try(`, tls: {caCertSecretRef: ca, caCertSecretKey: ca.crt}`, held))
	require.NoError(t, try(`, tls: {disableVerify: true}`, held))
	require.Contains(t, failed(t, try("", held), model.Unavailable).Text, "name the authority's certificate in tls.caCertSecretRef")
	held.set("ca/ca.crt", "nothing")
	require.Contains(t, failed(t, try(named, held), model.Unavailable).Text, "holds no certificate in PEM")
	require.Contains(t, failed(t, try(named, &secrets{}), model.Unavailable).Text, `no key "ca.crt" in Secret "ca"`)

	// The authority changes while the model is open.
	m, err := model.Open(config(t, `{provider: OpenAI, model: m, openAI: {baseUrl: "URL/v1"}`+named+`}`, server.URL), held, model.Options{})
	require.NoError(t, err)
	_, err = m.Generate(t.Context(), ask("?"), nil)
	failed(t, err, model.Unavailable)
	held.set("ca/ca.crt", authority)
	_, err = m.Generate(t.Context(), ask("?"), nil)
	require.NoError(t, err)
}

func TestHTTPSWhereThereIsNone(t *testing.T) {
	t.Parallel()
	p := serve(t, chatDone)
	var waited []time.Duration
	o := model.Options{Retrying: func(_ *model.Error, d time.Duration) { waited = append(waited, d) }}
	_, err := open(t, config(t, `{provider: OpenAI, model: m, openAI: {baseUrl: "URL/v1"}}`, "https"+p.URL[len("http"):]), o).Generate(t.Context(), ask("?"), nil)
	require.Contains(t, failed(t, err, model.Unavailable).Text, "does not speak TLS")
	require.Empty(t, waited)
}
