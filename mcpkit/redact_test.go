package mcpkit

import (
	"encoding/base64"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var testRedactor = NewRedactor([]byte("a key for tests"))

const testPEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAzuoV3pYV7m1m1M2bq0mJ0yqk1Y5m8h3gk2Zr0dYp5xU7bq1N\nq0mJ0yqk1Y5m8h3gk2Zr0dYp5xU7bq1Nq0mJ0yqk1Y5m8h3gk2Zr0dYp5xU7bq1N\nAQID\n-----END RSA PRIVATE KEY-----"

const testJWT = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// disguised are texts with a secret; in want, «secret» stands for its mark.
var disguised = []struct{ name, in, want string }{
	{"logfmt", `level=info password=hunter2 user=app`, `level=info password=«hunter2» user=app`},
	{"logfmt quoted", `level=info password="hunter2 two" user=app`, `level=info password="«hunter2 two»" user=app`},
	{"JSON line", `{"level":"info","db_password":"hunter2","n":1}`, `{"level":"info","db_password":"«hunter2»","n":1}`},
	{"JSON within a line", `cfg {"password":"hunter2","n":1}`, `cfg {"password":"«hunter2»","n":1}`},
	{"JSON with spaces", `cfg { "password" : "hunter2" }`, `cfg { "password" : "«hunter2»" }`},
	{"escaped JSON", `msg="{\"apiKey\":\"abc-123-def\"}"`, `msg="{\"apiKey\":\"«abc-123-def»\"}"`},
	{"escape in a value", `{"x":"a","password":"hun\"ter2"} tail`, `{"x":"a","password":"«hun"ter2»"} tail`},
	{"escaped newline", `x "a\npassword: hunter2\nb"`, `x "a\npassword: «hunter2»\nb"`},
	{"python", `{'api_key': 'abc123def'}`, `{'api_key': '«abc123def»'}`},
	{"go map", `map[password:hunter2 user:app]`, `map[password:«hunter2» user:app]`},
	{"go struct", `{Host:db Password:hunter2}`, `{Host:db Password:«hunter2»}`},
	{"go env var", `EnvVar{Name:DB_PASSWORD,Value:hunter2,ValueFrom:nil,}`, `EnvVar{Name:DB_PASSWORD,Value:«hunter2»,ValueFrom:nil,}`},
	{"java", `Config(password=hunter2, user=app)`, `Config(password=«hunter2», user=app)`},
	{"comma in a value", `password=hun,ter2`, `password=«hun,ter2»`},
	{"env dump", "PATH=/bin\nPGPASSWORD=hunter2\nHOME=/root", "PATH=/bin\nPGPASSWORD=«hunter2»\nHOME=/root"},
	{"ini", "[db]\npassword = hunter2\nhost = db", "[db]\npassword = «hunter2»\nhost = db"},
	{"yaml", "db:\n  password: hunter two # mine\n  host: db", "db:\n  password: «hunter two # mine»\n  host: db"},
	{"yaml quoted", "password: 'it''s'\n", "password: '«it's»'\n"},
	{"yaml block", "db:\n  password: |\n    hunter2\n    more\n  host: db", "db:\n  password: |\n    «hunter2\nmore»\n  host: db"},
	{"yaml env", "env:\n- name: DB_PASSWORD\n  value: hunter2\n- name: MODE\n  value: fast", "env:\n- name: DB_PASSWORD\n  value: «hunter2»\n- name: MODE\n  value: fast"},
	{"yaml comment", "# password: hunter2", "# password: «hunter2»"},
	{"yaml flow", `{user: app, password: hunter2}`, `{user: app, password: «hunter2»}`},
	{"diff of env", "   - name: DB_PASSWORD\n-    value: hunter2\n+    value: hunter3", "   - name: DB_PASSWORD\n-    value: «hunter2»\n+    value: hunter3"},
	{"json env", `"env":[{"name":"DB_PASSWORD","value":"hunter2"}]`, `"env":[{"name":"DB_PASSWORD","value":"«hunter2»"}]`},
	{"describe env", "    Environment:\n      DB_PASSWORD:  hunter2\n      MODE:         fast", "    Environment:\n      DB_PASSWORD:  «hunter2»\n      MODE:         fast"},
	{"describe args", "    Args:\n      --token\n      abc123\n      --port=80", "    Args:\n      --token\n      «abc123»\n      --port=80"},
	{"describe configmap", "Data\n====\ndb.password:\n----\nhunter2\n\nmode:\n----\nfast\n", "Data\n====\ndb.password:\n----\n«hunter2»\n\nmode:\n----\nfast\n"},
	{"flag", `exec app --password=hunter2 --port 80`, `exec app --password=«hunter2» --port 80`},
	{"flag with space", `exec app --password hunter2 --port 80`, `exec app --password «hunter2» --port 80`},
	{"flag in an argv", `["app","--api-key","abc123","-v"]x`, `["app","--api-key","«abc123»","-v"]x`},
	{"yaml args", "args:\n- --token\n- abc123\n- --port\n- \"80\"", "args:\n- --token\n- «abc123»\n- --port\n- \"80\""},
	{"mysql", `mysql -uroot -phunter2 -h db`, `mysql -uroot -p«hunter2» -h db`},
	{"redis", `redis-cli -h db -a hunter2 ping`, `redis-cli -h db -a «hunter2» ping`},
	{"curl", `curl -s -u app:hunter2 http://x/`, `curl -s -u app:«hunter2» http://x/`},
	{"url", `dial postgres://app:hunter2@db:5432/x?sslmode=off failed`, `dial postgres://«hunter2»@db:5432/x?sslmode=off failed`},
	{"url without user", `redis://:hunter2@cache:6379/0`, `redis://«hunter2»@cache:6379/0`},
	{"url with at", `amqp://app:hunt@er2@mq:5672`, `amqp://«hunt@er2»@mq:5672`},
	{"url with slash", `amqp://app:hun/ter@mq:5672`, `amqp://«hun/ter»@mq:5672`},
	{"url escaped", `https://app:hunter%202@x.org/`, `https://«hunter 2»@x.org/`},
	{"url token", `https://ghp_0123456789abcdefghijABCDEFGHIJ012345@github.com/x`, `https://«ghp_0123456789abcdefghijABCDEFGHIJ012345»@github.com/x`},
	{"url in yaml", "DATABASE_URL: postgres://app:hunter2@db/x", "DATABASE_URL: postgres://«hunter2»@db/x"},
	{"url query", `GET /x?token=abc123&n=1 200`, `GET /x?token=«abc123»&n=1 200`},
	{"sas", `https://a.blob.core.windows.net/c?sv=2022&sig=ab%2Bcd%3D&se=2030`, `https://a.blob.core.windows.net/c?sv=2022&sig=«ab%2Bcd%3D»&se=2030`},
	{"mysql dsn", `dial app:hunter2@tcp(db:3306)/shop`, `dial «hunter2»@tcp(db:3306)/shop`},
	{"schemeless", `connect app:hunter2@db:5432`, `connect «hunter2»@db:5432`},
	{"dsn", `DSN=host=db password=hunter2 dbname=x`, `DSN=host=db password=«hunter2» dbname=x`},
	{"azure storage", `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=YWJjZGVmZ2g=;EndpointSuffix=x`, `DefaultEndpointsProtocol=https;AccountName=a;AccountKey=«YWJjZGVmZ2g=»;EndpointSuffix=x`},
	{"sql server", `Server=db;User Id=sa;Password=hunter2;Encrypt=true`, `Server=db;User Id=sa;Password=«hunter2»;Encrypt=true`},
	{"slack hook", `post https://hooks.slack.com/services/T000/B000/abcdefghijkl failed`, `post https://hooks.slack.com/services/«T000/B000/abcdefghijkl» failed`},
	{"pem", "key:\n" + testPEM + "\nafter", "key:\n«" + testPEM + "»\nafter"},
	{"pem escaped", `"` + strings.ReplaceAll(testPEM, "\n", `\n`) + `\n" after`, `"«` + testPEM + `»\n" after`},
	{"pem cut", testPEM[:120], "«" + testPEM[:120] + "»"},
	{"jwt", "got " + testJWT + " from x", "got «" + testJWT + "» from x"},
	{"bearer", "Authorization: Bearer abc.def-123_xyz", "Authorization: Bearer «abc.def-123_xyz»"},
	{"bearer in json", `{"headers":{"Authorization":["Bearer abcdef123"]}}`, `{"headers":{"Authorization":["Bearer «abcdef123»"]}}`},
	{"bearer alone", `curl -H "Authorization: Bearer abcdef123" https://x`, `curl -H "Authorization: Bearer «abcdef123»" https://x`},
	{"basic", "proxy sent Basic " + b64("app:hunter2") + " to x", "proxy sent Basic «" + b64("app:hunter2") + "» to x"},
	{"cookie", "Cookie: sid=abc123; theme=dark", "Cookie: «sid=abc123; theme=dark»"},
	{"aws", "key AKIAIOSFODNN7EXAMPLE used", "key «AKIAIOSFODNN7EXAMPLE» used"},
	{"redis", "port 6379\n# requirepass foobared\nrequirepass \"hunter2\"\nmasterauth hunter3", "port 6379\n# requirepass «foobared»\nrequirepass \"«hunter2»\"\nmasterauth «hunter3»"},
	{"redis in a string", `"redis.conf":"port 6379\nrequirepass hunter2\nappendonly yes"x`, `"redis.conf":"port 6379\nrequirepass «hunter2»\nappendonly yes"x`},
	{"netrc", "machine git.example.com login app password hunter2", "machine git.example.com login app password «hunter2»"},
	{"rails", "SECRET_KEY_BASE=hunter2", "SECRET_KEY_BASE=«hunter2»"},
	{"airflow", "AIRFLOW__CORE__FERNET_KEY: hunter2", "AIRFLOW__CORE__FERNET_KEY: «hunter2»"},
	{"aws secret", "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "aws_secret_access_key = «wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY»"},
	{"gitlab", "clone with glpat-abcdefghij0123456789", "clone with «glpat-abcdefghij0123456789»"},
	{"anthropic", "using sk-ant-api03-abcdefABCDEF0123456789", "using «sk-ant-api03-abcdefABCDEF0123456789»"},
	{"slack", "xoxb-123456789012-abcdefghij", "«xoxb-123456789012-abcdefghij»"},
	{"bcrypt", "app:$2y$05$abcdefghijklmnopqrstuv0123456789ABCDEFGHIJKLMNOPQRSTUV", "app:«$2y$05$abcdefghijklmnopqrstuv0123456789ABCDEFGHIJKLMNOPQRSTUV»"},
	{"docker config", `{"auths":{"r.io":{"username":"app","auth":"` + b64("app:hunter2") + `"}}}`, `{"auths":{"r.io":{"username":"app","auth":"«` + b64("app:hunter2") + `»"}}}`},
	{"kubeconfig", "users:\n- name: admin\n  user:\n    token: abc123\n    client-key-data: " + b64(testPEM) + "\n    client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t",
		"users:\n- name: admin\n  user:\n    token: «abc123»\n    client-key-data: «" + testPEM + "»\n    client-certificate-data: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0t"},
	{"secret yaml", "apiVersion: v1\ndata:\n  user: " + b64("app") + "\n  x: " + b64("hunter2") + "\nkind: Secret\nmetadata:\n  name: db",
		"apiVersion: v1\ndata:\n  user: «app»\n  x: «hunter2»\nkind: Secret\nmetadata:\n  name: db"},
	{"secret yaml block", "kind: Secret\nstringData:\n  x: |\n    a\n    b\n  y: c\ntype: Opaque", "kind: Secret\nstringData:\n  x: «a\nb\n»\n  y: «c»\ntype: Opaque"},
	{"secret yaml in a list", "items:\n- data:\n    x: " + b64("hunter2") + "\n  kind: Secret\n- data:\n    x: plain\n  kind: ConfigMap",
		"items:\n- data:\n    x: «hunter2»\n  kind: Secret\n- data:\n    x: plain\n  kind: ConfigMap"},
	{"secret diff", " apiVersion: v1\n data:\n-  x: " + b64("hunter2") + "\n+  x: " + b64("hunter3") + "\n kind: Secret", " apiVersion: v1\n data:\n-  x: «hunter2»\n+  x: «hunter3»\n kind: Secret"},
	{"secret json in a line", `applied {"apiVersion":"v1","data":{"x":"` + b64("hunter2") + `"},"kind":"Secret"}`, `applied {"apiVersion":"v1","data":{"x":"«hunter2»"},"kind":"Secret"}`},
	{"secret json escaped", `m="{\"data\":{\"x\":\"` + b64("hunter2") + `\"},\"kind\":\"Secret\"}"`, `m="{\"data\":{\"x\":\"«hunter2»\"},\"kind\":\"Secret\"}"`},
	{"secret json cut", `{"kind":"Secret","data":{"x":"` + b64("hunter2") + `","y":"` + b64("abc"), `{"kind":"Secret","data":{"x":"«hunter2»","y":"«abc»`},
	{"secret flow yaml", `{kind: Secret, stringData: {x: hunter2, y: "b"}}`, `{kind: Secret, stringData: {x: «hunter2», y: "«b»"}}`},
	{"validation", `spec.password: Invalid value: "hunter2": too short`, `spec.password: Invalid value: "«hunter2»": too short`},
	{"prose", `login failed: wrong password: hunter2`, `login failed: wrong password: «hunter2»`},
	{"api key", `using API key: abc123def456`, `using API key: «abc123def456»`},
	{"xml", `<password>hunter2</password>`, `<password>«hunter2»</password>`},
	{"der in a line", `log MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7 x`, `log «MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7» x`},
	{"yaml list", "passwords:\n- hunter2\n- \"hunter3\"\nmode: fast", "passwords:\n- «hunter2»\n- \"«hunter3»\"\nmode: fast"},
	{"space in a connection string", `Server=db;Password=hun ter2;Encrypt=true`, `Server=db;Password=«hun ter2»;Encrypt=true`},
	{"sql", `CREATE USER x WITH PASSWORD 'hunter2'; ALTER USER y IDENTIFIED BY 'hunter3'`, `CREATE USER x WITH PASSWORD '«hunter2»'; ALTER USER y IDENTIFIED BY '«hunter3»'`},
	{"ansi between", "pass\x1b[0mword=hunter2", "password=«hunter2»"},
	{"invisible between", "pass\u200bword=hunter2", "password=«hunter2»"},
}

// filled puts marks in the place of «secret».
func filled(want string) string {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(want, "«")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		secret, after, _ := strings.Cut(rest, "»")
		b.WriteString(testRedactor.mark(secret))
		want = after
	}
}

func TestRedactDisguises(t *testing.T) {
	for _, c := range disguised {
		t.Run(c.name, func(t *testing.T) {
			got := testRedactor.Text(c.in)
			require.Equal(t, filled(c.want), got)
			require.Equal(t, got, testRedactor.Text(got), "redacting twice")
		})
	}
}

// harmless texts must come through as they are.
var harmless = []string{
	`MountVolume.SetUp failed for volume "db-password" : secret "db-password" not found`,
	`Error: couldn't find key password in Secret shop/db-password`,
	`references non-existent secret key: password`,
	`secret "db-password" not found`,
	`Failed to pull image "shop/web:v2": unauthorized: authentication required`,
	`failed to fetch anonymous token: unexpected status: 401 Unauthorized`,
	`failed to fetch oauth token: Post "https://auth.docker.io/token": EOF`,
	`invalid bearer token, token lookup failed`,
	`Unable to authenticate the request due to an error: invalid bearer token`,
	`syntax error: unexpected token: foo`,
	`FATAL: password authentication failed for user "app"`,
	`error: token: signature is invalid`,
	`authorization: user=system:node:x verb=get`,
	`Successfully rotated secret: shop/db-password version: 3`,
	`push key/cert pair for secret: kubernetes://web-tls`,
	"tokens:\n- name: web\n- web-token-x7k2p\n",
	"spec.maxTokens: integer  minimum=1\nspec.apiKeySecret: string",
	`Bearer authentication is not supported`,
	`Basic authentication failed`,
	"Name: web\nMountable secrets:   <none>\nTokens:              web-token-x7k2p\nEvents: <none>",
	"Data\n====\npassword:  12 bytes\ntoken:     1024 bytes\n",
	"      DB_PASSWORD:  <set to the key 'password' in secret 'db'>  Optional: false",
	"    Type:        Secret (a volume populated by a Secret)\n    SecretName:  db-password\n    Optional:    false",
	"    TokenExpirationSeconds:  3607\n    ConfigMapName:           kube-root-ca.crt\n    DownwardAPI:             true",
	"automountServiceAccountToken: false",
	"volumes:\n- name: token\n  projected:\n    sources:\n    - serviceAccountToken:\n        audience: api\n        expirationSeconds: 3607\n        path: token",
	"env:\n- name: DB_PASSWORD\n  valueFrom:\n    secretKeyRef:\n      key: password\n      name: db-password",
	"imagePullSecrets:\n- name: regcred\n",
	"secretName: db-password\ntokenSecretRef:\n  name: tokens\n  key: token",
	"existingSecret: db-auth",
	"rules:\n- apiGroups: [\"\"]\n  resources: [\"secrets\"]\n  verbs: [get]",
	"rules:\n- resources:\n  - secrets\n  - tokenreviews\n",
	"type: kubernetes.io/tls",
	"kind: Secret\nmetadata:\n  name: db-password\n  uid: 0f8fad5b-d9cb-469f-a165-70867728950e\ntype: Opaque",
	"prompt tokens: 1532 completion tokens: 77",
	`{"usage":{"tokens":1532,"max_tokens":4096}}`,
	"MAX_TOKENS=4096 TOKEN_LIMIT=5",
	"password: ${DB_PASSWORD}",
	"password: $(DB_PASSWORD)",
	"password: {{ .Values.password }}",
	"password: \"\"\ntoken: null\nsecret: ''",
	"postgres://app:$(DB_PASSWORD)@db:5432/x",
	"postgres://app@db:5432/x",
	"ssh://git@github.com/toolcrib/toolcrib.git",
	"http://web:8080/path@v1",
	"image: ghcr.io/x/web:v1@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"image: ghcr.io/x/web@sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"checksum/config: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"checksum/secret: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	"pod-template-hash: 7d9f8b6c5d",
	"resourceVersion: \"123456789\"",
	"commit 8a07f7c1b2d3e4f5061728394a5b6c7d8e9f0a1b",
	"caBundle: " + b64("-----BEGIN CERTIFICATE-----\nMIIDxTCCAq2gAwIBAgIQAqxcJmoLQJuPC3nyrkYldzANBgkqhkiG9w0BAQUFADBs\n-----END CERTIFICATE-----\n"),
	"-----BEGIN CERTIFICATE-----\nMIIDxTCCAq2gAwIBAgIQAqxcJmoLQJuPC3nyrkYldzANBgkqhkiG9w0BAQUFADBs\n-----END CERTIFICATE-----",
	"--- PASS: TestToken (0.00s)\nok pass: 12 fail: 0",
	`kube_secret_info{namespace="shop",secret="db-password"} 1`,
	`kube_pod_spec_volumes{secret=~"db-.*",token!="x"}`,
	`"Secret not found" secret="shop/db-password" err="not found"`,
	`arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-AbCdEf`,
	"nginx.ingress.kubernetes.io/auth-type: basic\nnginx.ingress.kubernetes.io/auth-secret: basic-auth",
	"the flag --token is deprecated, use --token-file instead",
	"--token-file=/var/run/secrets/kubernetes.io/serviceaccount/token",
	"token: /var/run/secrets/kubernetes.io/serviceaccount/token",
	"PWD=/home/app\nOLDPWD=/",
	"--authorization-mode=Node,RBAC --client-ca-file=/etc/ca.crt --tls-private-key-file=/etc/tls.key",
	"--authentication-token-webhook=true --anonymous-auth=false",
	"auth: none\nauthorization: kubernetes",
	"std::token::parse and Foo::Secret",
	"cookies: enabled; credentials: include",
	"if password == expected || token != nil {",
	"secretStoreRef:\n  name: vault\ndata:\n- secretKey: password\n  remoteRef:\n    key: db/password",
	"password: vault:secret/data/db#password",
	"key: value\nkeys: 3\npublic_key: abc123",
	"12:30:45 web-0 10.0.0.1:8080 user@example.org GET /tokens/list?limit=5",
	"kubectl get secrets -n shop",
	"Übergrößen, naïve, 日本語 and 😀 stay",
}

func TestRedactLeavesHarmless(t *testing.T) {
	for _, s := range harmless {
		require.Equal(t, s, testRedactor.Text(s))
	}
}
