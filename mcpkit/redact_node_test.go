package mcpkit

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// redactedJSON redacts a JSON result and writes it back.
func redactedJSON(t *testing.T, in string) string {
	t.Helper()
	n, err := parseNode(in)
	require.NoError(t, err)
	testRedactor.node(n)
	out, err := n.MarshalJSON()
	require.NoError(t, err)
	again, err := parseNode(string(out))
	require.NoError(t, err)
	testRedactor.node(again)
	twice, err := again.MarshalJSON()
	require.NoError(t, err)
	require.Equal(t, string(out), string(twice), "redacting twice")
	return string(out)
}

func TestRedactNode(t *testing.T) {
	lastApplied := `{"apiVersion":"v1","data":{"x":"` + b64("hunter2") + `"},"kind":"Secret"}`
	quoted, err := json.Marshal(lastApplied)
	require.NoError(t, err)
	quotedClean := strings.ReplaceAll(string(quoted), b64("hunter2"), "«hunter2»")
	pem := strings.Split(testPEM, "\n")
	for _, c := range []struct{ name, in, want string }{
		{"secret", `{"object":{"kind":"Secret","data":{"x":"` + b64("hunter2") + `","e":""},"stringData":{"y":"hunter2","n":1},"type":"Opaque"}}`,
			`{"object":{"kind":"Secret","data":{"x":"«hunter2»","e":""},"stringData":{"y":"«hunter2»","n":"«1»"},"type":"Opaque"}}`},
		{"secret list", `{"kind":"SecretList","items":[{"data":{"x":"` + b64("hunter2") + `"}}]}`, `{"kind":"SecretList","items":[{"data":{"x":"«hunter2»"}}]}`},
		{"secret without kind", `{"type":"kubernetes.io/tls","data":{"x":"` + b64("hunter2") + `"}}`, `{"type":"kubernetes.io/tls","data":{"x":"«hunter2»"}}`},
		{"last applied", `{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":` + string(quoted) + `}}`,
			`{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":` + quotedClean + `}}`},
		{"document in a document", `{"a":` + nested(t, lastApplied, 3) + `}`, `{"a":` + nested(t, strings.ReplaceAll(lastApplied, b64("hunter2"), testRedactor.mark("hunter2")), 3) + `}`},
		{"a patch of a secret", `{"patch":"{\"stringData\":{\"foo\":\"hunter2\"}}"}`, `{"patch":"{\"stringData\":{\"foo\":\"«hunter2»\"}}"}`},
		{"yaml in a config map", `{"data":{"s.yaml":"kind: Secret\nstringData:\n  x: hunter2\n"}}`, `{"data":{"s.yaml":"kind: Secret\nstringData:\n  x: «hunter2»\n"}}`},
		{"env", `{"env":[{"name":"DB_PASSWORD","value":"hunter2"},{"name":"MODE","value":"fast"},{"name":"REDIS_AUTH","value":"hunter2"}]}`,
			`{"env":[{"name":"DB_PASSWORD","value":"«hunter2»"},{"name":"MODE","value":"fast"},{"name":"REDIS_AUTH","value":"«hunter2»"}]}`},
		{"headers", `{"httpHeaders":[{"name":"Authorization","value":"Bearer abc"}]}`, `{"httpHeaders":[{"name":"Authorization","value":"Bearer «abc»"}]}`},
		{"args", `{"command":["app","--password","hunter2","--api-key=abc","-v"]}`, `{"command":["app","--password","«hunter2»","--api-key=«abc»","-v"]}`},
		{"mysql", `{"args":["mysql","-uroot","-phunter2"]}`, `{"args":["mysql","-uroot","-p«hunter2»"]}`},
		{"sshpass", `{"args":["sshpass","-p","hunter2","ssh","x"]}`, `{"args":["sshpass","-p","«hunter2»","ssh","x"]}`},
		{"shell", `{"args":["sh","-c","exec app --token abc123"]}`, `{"args":["sh","-c","exec app --token «abc123»"]}`},
		{"any depth", `{"values":{"db":{"auth":{"rootPassword":"hunter2","clientSecret":"x1","apiKeys":["abcdef","ghijkl"]}}}}`,
			`{"values":{"db":{"auth":{"rootPassword":"«hunter2»","clientSecret":"«x1»","apiKeys":["«abcdef»","«ghijkl»"]}}}}`},
		{"numbers", `{"password":12345,"tokens":1532,"secretCount":3,"token":null,"secret":true}`, `{"password":"«12345»","tokens":1532,"secretCount":3,"token":null,"secret":true}`},
		{"docker config", `{"auths":{"r.io":{"username":"app","password":"hunter2","auth":"` + b64("app:hunter2") + `"}}}`,
			`{"auths":{"r.io":{"username":"app","password":"«hunter2»","auth":"«` + b64("app:hunter2") + `»"}}}`},
		{"connection string", `{"dsn":"app:hunter2@tcp(db:3306)/x","connectionString":"opaque"}`, `{"dsn":"«hunter2»@tcp(db:3306)/x","connectionString":"«opaque»"}`},
		{"table", `{"columns":["NAME","TOKEN","SECRET"],"rows":[["a","abc123","webtls"],["b","","web-tls"]]}`,
			`{"columns":["NAME","TOKEN","SECRET"],"rows":[["a","«abc123»","webtls"],["b","","web-tls"]]}`},
		{"key across lines", `{"lines":["` + strings.Join(pem, `","`) + `","after"]}`,
			`{"lines":["«` + pem[0] + `»","«` + pem[1] + `»","«` + pem[2] + `»","«` + pem[3] + `»","«` + pem[4] + `»","after"]}`},
		{"key across rows", `{"columns":["time","line"],"rows":[["1","` + pem[0] + `"],["2","` + pem[1] + `"],["3","after"]]}`,
			`{"columns":["time","line"],"rows":[["1","«` + pem[0] + `»"],["2","«` + pem[1] + `»"],["3","after"]]}`},
		{"ansi and tags", `{"message":"a\u001b[31mred\u001b[0m\u200bb\udb40\udc41c"}`, `{"message":"aredbc"}`},
		{"references", `{"secretName":"a","imagePullSecrets":[{"name":"b"}],"secrets":["etcd-certs"],"secretKeyRef":{"name":"c","key":"password"},"automountServiceAccountToken":true,"serviceAccountToken":{"path":"token","audience":"api","expirationSeconds":3607},"existingSecret":"db","credentialName":"web-tls"}`,
			`{"secretName":"a","imagePullSecrets":[{"name":"b"}],"secrets":["etcd-certs"],"secretKeyRef":{"name":"c","key":"password"},"automountServiceAccountToken":true,"serviceAccountToken":{"path":"token","audience":"api","expirationSeconds":3607},"existingSecret":"db","credentialName":"web-tls"}`},
		{"rbac", `{"rules":[{"apiGroups":[""],"resources":["secrets"],"resourceNames":["db-password"],"verbs":["get"]}]}`,
			`{"rules":[{"apiGroups":[""],"resources":["secrets"],"resourceNames":["db-password"],"verbs":["get"]}]}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, filled(c.want), redactedJSON(t, c.in))
		})
	}
}

// nested wraps a JSON document in n strings within objects.
func nested(t *testing.T, doc string, n int) string {
	t.Helper()
	for range n {
		b, err := toNode(map[string]string{"inner": doc})
		require.NoError(t, err)
		out, err := b.MarshalJSON()
		require.NoError(t, err)
		doc = string(out)
	}
	return doc
}

func TestFingerprints(t *testing.T) {
	const secret = "hunter2-Correct"
	mark := testRedactor.mark(secret)
	require.Regexp(t, `^redacted:[0-9a-f]{8}$`, mark)
	for _, in := range []string{
		"kind: Secret\ndata:\n  x: " + b64(secret),
		"kind: Secret\nstringData:\n  x: \"" + secret + "\"",
		`{"kind":"Secret","data":{"x":"` + b64(secret) + `"}}`,
		`{"env":[{"name":"DB_PASSWORD","value":"` + secret + `"}]}`,
		"DB_PASSWORD=" + secret,
		"postgres://app:" + secret + "@db/x",
		"--password " + secret,
		"Authorization: Bearer " + secret,
	} {
		require.Contains(t, testRedactor.Text(in), mark, in)
	}
	require.Equal(t, testRedactor.Text("password="+secret), NewRedactor([]byte("a key for tests")).Text("password="+secret))
	require.NotEqual(t, mark, testRedactor.mark(secret+"x"))
	require.NotEqual(t, mark, NewRedactor([]byte("another key")).mark(secret))
	require.Equal(t, testRedactor.Text(testPEM), testRedactor.Text("LS0tLS1C"+strings.TrimPrefix(b64(testPEM), "LS0tLS1C")))
}

func TestRedactObject(t *testing.T) {
	o := Object{"kind": "Secret", "data": map[string]any{"x": b64("hunter2")}, "spec": map[string]any{"replicas": int64(3), "ratio": 0.5, "on": true, "none": nil}}
	want := Object{"kind": "Secret", "data": map[string]any{"x": testRedactor.mark("hunter2")}, "spec": map[string]any{"replicas": int64(3), "ratio": 0.5, "on": true, "none": nil}}
	require.Equal(t, want, testRedactor.Object(o))
	require.Equal(t, b64("hunter2"), o["data"].(map[string]any)["x"], "the original is untouched")

	ctx := context.WithValue(t.Context(), callKey{}, &Call{redactor: testRedactor})
	require.Equal(t, want, Redact(ctx, o))
	outside := Redact(t.Context(), o)["data"].(map[string]any)["x"]
	require.True(t, isMark(outside.(string)))
	require.NotEqual(t, testRedactor.mark("hunter2"), outside)
	require.Nil(t, testRedactor.Object(nil))
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":                             "plain\ttext\n",
		"a\x1b[1;31mb\x1b[0mc":                      "abc",
		"a\x1b]0;title\x07b":                        "ab",
		"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\": "alink",
		"a\x1b]never ended\nb":                      "anever ended\nb",
		"a\u009b31mb":                               "ab",
		"a\x1b(Bb\x1bMc":                            "abc",
		"one\r\ntwo\rthree\u2028four":               "one\ntwo\nthree\nfour",
		"a\x00b\x08c\x7fd":                          "abcd",
		"a\u200bb\u202ec\u2066d\ufeffe\u00adf":      "abcdef",
		"a\U000E0041\U000E007Fb\ufe0fc\U000E0100d":  "abcd",
		"a\xffb\xc3":                                "ab",
		"é 日本 😀":                                    "é 日本 😀",
	} {
		require.Equal(t, want, Clean(in), "%q", in)
	}
}
