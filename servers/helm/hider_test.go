package helm

import (
	"encoding/base64"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestKnownSecretsAreHiddenWhereverTheyStand(t *testing.T) {
	const secret = "plain-words-of-a-secret"
	inData := base64.StdEncoding.EncodeToString([]byte("another-of-the-kind"))
	values := map[string]any{"auth": map[string]any{"password": secret, "user": "admin"}, "list": []any{map[string]any{"token": "shorter-token"}}, "pin": map[string]any{"password": "abc"}}
	object := map[string]any{"kind": "Secret", "data": map[string]any{"x": inData}}
	h := new(hider)
	for _, o := range []map[string]any{values, object} {
		h.learn(o, map[string]any(mcpkit.Redact(t.Context(), o)))
	}
	text := h.text("curl -u admin:" + secret + " and another-of-the-kind, " + base64.StdEncoding.EncodeToString([]byte(secret)) + " " + inData + " shorter-token abc")
	require.Regexp(t, `^curl -u admin:redacted:[0-9a-f]{8} and redacted:[0-9a-f]{8}, redacted:[0-9a-f]{8} redacted:[0-9a-f]{8} redacted:[0-9a-f]{8} abc$`, text)
	require.Equal(t, "nothing", new(hider).text("nothing"))
}
