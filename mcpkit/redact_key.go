package mcpkit

import (
	"strings"
)

// noun says what a key promises about its value.
type noun byte

const (
	harmlessNoun noun = iota
	passwordNoun      // any value is secret
	tokenNoun         // any value but a count, and in prose only one that looks it
	tokensNoun        // like tokenNoun, but as often a count or a list of names
	secretNoun        // the value, or the name of the Secret that holds it
	keyNoun           // the value, or the name of the key that holds it in a Secret
	authNoun          // the value, or the name of a method
	connNoun          // a connection string, secret in part or whole
)

// lastWords are the words that, at the end of a key, make its value secret.
var lastWords = map[string]noun{
	"password": passwordNoun, "passwords": passwordNoun, "passwd": passwordNoun, "pwd": passwordNoun,
	"pass": passwordNoun, "passphrase": passwordNoun, "passcode": passwordNoun, "pw": passwordNoun,
	"passin": passwordNoun, "passout": passwordNoun, "pswd": passwordNoun, "userpass": passwordNoun,
	"token": tokenNoun, "tokens": tokensNoun, "jwt": tokenNoun, "bearer": tokenNoun,
	"apikey": tokenNoun, "apikeys": tokensNoun, "accesskey": tokenNoun, "secretkey": tokenNoun,
	"privatekey": tokenNoun, "authkey": tokenNoun, "signingkey": tokenNoun, "encryptionkey": tokenNoun,
	"sharedaccesssignature": tokenNoun, "dockerconfigjson": tokenNoun, "dockercfg": tokenNoun,
	"secret": secretNoun, "secrets": secretNoun, "credential": secretNoun, "credentials": secretNoun,
	"cred": secretNoun, "creds": secretNoun,
	"auth": authNoun, "authorization": authNoun, "cookie": authNoun, "cookies": authNoun, "htpasswd": authNoun,
	"dsn": connNoun, "connstr": connNoun, "connstring": connNoun, "connectionstring": connNoun,
}

// glued are word ends that count even without a word boundary before them.
var glued = []struct {
	end string
	is  noun
}{
	{"password", passwordNoun}, {"passwd", passwordNoun}, {"passphrase", passwordNoun}, {"pwd", passwordNoun},
	{"token", tokenNoun}, {"apikey", tokenNoun}, {"secretkey", tokenNoun}, {"accesskey", tokenNoun},
	{"privatekey", tokenNoun}, {"secret", tokenNoun}, {"connectionstring", connNoun},
}

// keyKinds are the words that make the word "key" after them a secret.
var keyKinds = setOf("api", "access", "secret", "private", "encryption", "encrypt", "decryption", "signing", "sign",
	"master", "ssh", "account", "storage", "shared", "license", "licence", "subscription", "auth", "session", "app",
	"application", "fernet", "hmac", "aes", "deploy", "client", "webhook", "jwt", "cipher", "crypto", "consumer", "host")

// trailing are words that may follow the telling one.
var trailing = setOf("value", "data", "b64", "base64", "plain", "plaintext", "text", "raw", "txt", "old", "new",
	"current", "previous", "primary", "secondary", "hash", "encoded", "literal")

// namedSecrets are the words before "secret" that make it a reference.
var namedSecrets = setOf("existing", "tls", "pull", "ca", "cert", "certificate", "target", "source", "image",
	"registry", "mounted", "mount", "checksum", "config", "count", "kubernetes", "k8s", "ingress", "backend")

// keyNames are usual names of keys in Secrets that are not secret themselves.
var keyNames = setOf("username", "user", "host", "port", "database", "url", "uri", "endpoint", "email")

// maybeSecrets are the words before "secret" that make it a reference as often
// as a value.
var maybeSecrets = setOf("auth", "password", "token", "credential", "credentials", "key", "user")

func setOf(words ...string) map[string]bool {
	m := make(map[string]bool, len(words))
	for _, w := range words {
		m[w] = true
	}
	return m
}

// words are the lower-case words of a key, split at separators and humps.
type words struct {
	buf  [64]byte
	from [16]int8
	to   [16]int8
	n    int
}

func (w *words) split(key string) {
	key = key[max(0, len(key)-len(w.buf)):]
	open := false
	for i := range len(key) {
		c := key[i]
		upper := c >= 'A' && c <= 'Z'
		if !upper && (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			open = false
			continue
		}
		hump := upper && i > 0 && (!isUpper(key[i-1]) || i+1 < len(key) && isLower(key[i+1]))
		if !open || hump {
			if w.n == len(w.from) {
				copy(w.from[:], w.from[1:])
				copy(w.to[:], w.to[1:])
				w.n--
			}
			w.from[w.n] = int8(i)
			w.n++
			open = true
		}
		if upper {
			c |= 0x20
		}
		w.buf[i] = c
		w.to[w.n-1] = int8(i + 1)
	}
}

// word returns the i-th word from the end, counting from 1; none is empty.
func (w *words) word(i int) []byte {
	if i > w.n {
		return nil
	}
	return w.buf[w.from[w.n-i]:w.to[w.n-i]]
}

// classify says what a key promises about its value: the key's last telling
// word decides, so that secretName and tokenExpirationSeconds promise nothing.
func classify(key string) noun {
	var w words
	w.split(key)
	last := w.word(1)
	for w.n > 1 && (trailing[string(last)] || isDigits(last)) {
		w.n--
		last = w.word(1)
	}
	if n := len(last); n < 2 || n > 32 {
		return harmlessNoun
	}
	before := string(w.word(2))
	if string(last) == "base" && before == "key" { // Rails' SECRET_KEY_BASE
		w.n--
		last, before = w.word(1), string(w.word(2))
	}
	switch string(last) {
	case "key", "keys":
		switch {
		case !keyKinds[before] || string(w.word(3)) == "public":
			return harmlessNoun
		case key == "secretKey":
			return keyNoun
		}
		return tokenNoun
	case "string", "str":
		switch before {
		case "connection", "conn":
			return connNoun
		case "secret":
			return tokenNoun
		}
		return harmlessNoun
	case "secret", "secrets":
		switch {
		case namedSecrets[before]:
			return harmlessNoun
		case before == "" || maybeSecrets[before]:
			return secretNoun
		}
		return tokenNoun
	case "pass":
		if key == "PASS" {
			return harmlessNoun // a test's verdict
		}
	}
	if is, ok := lastWords[string(last)]; ok {
		return is
	}
	return classifyGlued(string(last))
}

func classifyGlued(last string) noun {
	for _, g := range glued {
		if strings.HasSuffix(last, g.end) {
			return g.is
		}
	}
	return harmlessNoun
}

// nothings are values that stand for no value.
var nothings = setOf("true", "false", "yes", "no", "on", "off", "null", "nil", "none", "undefined", "unset", "n/a",
	"string", "integer", "boolean", "object", "array", "number", "~", "-", "|", ">", "|-", ">-", "|+", ">+", "{}", "[]", "enabled", "disabled", "required", "optional")

// methods are the values of auth and its like that name a way to authenticate.
var methods = setOf("basic", "bearer", "digest", "kubernetes", "oidc", "oauth", "oauth2", "ldap", "saml", "jwt",
	"token", "tls", "mtls", "x509", "iam", "rbac", "node", "webhook", "internal", "external", "anonymous", "password",
	"scram-sha-256", "scram-sha-512", "md5", "trust", "default", "failed", "ok", "success", "denied")

// keeps reports whether a value under a key of this kind tells no secret.
func (is noun) keeps(v string) bool {
	if v == "" || isMark(v) || nothings[strings.ToLower(v)] || isPlaceholder(v) || isPath(v) || isMask(v) {
		return true
	}
	digits := isDigits([]byte(v))
	switch is {
	case passwordNoun:
		return isByteCount(v)
	case tokenNoun:
		return digits && len(v) < 6 || isByteCount(v)
	case tokensNoun:
		return v[0] >= '0' && v[0] <= '9' && (digits || len(v) < 12) || isReference(v)
	case secretNoun:
		return digits && len(v) < 10 || isByteCount(v) || isReference(v)
	case keyNoun:
		return isReference(v) || classify(v) != harmlessNoun || keyNames[v]
	case authNoun:
		return digits || methods[strings.ToLower(v)]
	}
	return false
}

// isPlaceholder reports whether v stands for a value kept elsewhere.
func isPlaceholder(v string) bool {
	if v == "" {
		return false
	}
	switch v[0] {
	case '$':
		return len(v) > 2 && (v[1] == '{' && strings.HasSuffix(v, "}") || v[1] == '(' && strings.HasSuffix(v, ")") ||
			strings.HasPrefix(v, "$__") || isIdentifier(v[1:]) && strings.ToUpper(v) == v)
	case '{':
		return strings.HasPrefix(v, "{{") && strings.HasSuffix(v, "}}")
	case '<':
		return strings.IndexByte(v, '>') == len(v)-1 || strings.HasPrefix(v, "<set to the key '")
	case '%':
		return len(v) <= 2 || isIdentifier(strings.Trim(v, "%")) && v[len(v)-1] == '%'
	}
	for _, p := range elsewhere {
		if strings.HasPrefix(v, p) {
			return true
		}
	}
	return false
}

// elsewhere begins values that say where the secret is: secret stores' own
// references, and code.
var elsewhere = []string{"vault:secret", "ref+", "op://", "os.getenv", "os.environ", "process.env", "System.getenv",
	"ENV[", "getenv(", "env(", "ssh-rsa ", "ssh-ed25519 ", "ecdsa-sha2-"}

var roots = []string{"/var/", "/etc/", "/run/", "/vault/", "/secrets/", "/mnt/", "/home/", "/opt/", "/tmp/", "/root/",
	"/usr/", "/srv/", "/app/", "/data/", "/config/", "/workspace/", "./", "../", "file://"}

func isPath(v string) bool {
	if v == "/" {
		return true
	}
	for _, p := range roots {
		if strings.HasPrefix(v, p) {
			return len(v) < 1024 && !strings.ContainsAny(v, "+= \n")
		}
	}
	return false
}

// isMask reports whether somebody has blanked v already.
func isMask(v string) bool {
	switch strings.ToLower(strings.Trim(v, "[]<>()*")) {
	case "", "redacted", "masked", "hidden", "filtered", "sensitive", "omitted", "sanitized":
		return true
	}
	return len(v) >= 3 && (v[0] == 'x' || v[0] == 'X' || v[0] == '.' || v[0] == '#') && strings.Trim(v, v[:1]) == ""
}

// isByteCount recognises kubectl describe's "12 bytes".
func isByteCount(v string) bool {
	n, ok := strings.CutSuffix(v, " bytes")
	return ok && isDigits([]byte(n))
}

// isReference reports whether v reads like the name of a Kubernetes object,
// perhaps after its namespace: words joined by hyphens, dots or a slash.
func isReference(v string) bool {
	if len(v) > 253 || !strings.ContainsAny(v, "-./") {
		return false
	}
	letters, digits, parts, odd := 0, 0, 1, false
	for i := range len(v) {
		switch c := v[i]; {
		case c >= 'a' && c <= 'z':
			odd = odd || digits > 0 && letters == 0
			letters++
		case c >= '0' && c <= '9':
			digits++
		case c == '-' || c == '.' || c == '/':
			if odd || digits > 3 && letters > 0 || letters+digits == 0 {
				return false
			}
			letters, digits, odd = 0, 0, false
			parts++
		default:
			return false
		}
	}
	// The last part may be a generated suffix.
	return letters+digits > 0 && (!odd && (digits <= 3 || letters == 0) || parts > 1 && letters+digits == 5)
}

// looksSecret reports whether v is no plain word: what prose has after a colon
// is more often a word than a secret.
func looksSecret(v string) bool {
	if len(v) < 6 || methods[strings.ToLower(v)] || isReference(v) {
		return false
	}
	var lower, upper, digit, symbol bool
	for i := range len(v) {
		switch c := v[i]; {
		case isLower(c):
			lower = true
		case isUpper(c):
			upper = upper || i > 0
		case c >= '0' && c <= '9':
			digit = true
		case strings.IndexByte("!@#%^*+~?$&", c) >= 0 || c == '=' && i == len(v)-1:
			symbol = true
		}
	}
	return digit && (lower || upper) || symbol && (lower || upper || digit) || lower && upper && len(v) >= 12
}

func isUpper(c byte) bool { return c >= 'A' && c <= 'Z' }
func isLower(c byte) bool { return c >= 'a' && c <= 'z' }

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}

func isIdentifier(s string) bool {
	for i := range len(s) {
		if !isWord(s[i]) {
			return false
		}
	}
	return s != ""
}

// isWord reports whether c may stand in an identifier.
func isWord(c byte) bool {
	return isLower(c) || isUpper(c) || c >= '0' && c <= '9' || c == '_'
}
