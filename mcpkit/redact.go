package mcpkit

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
)

// A Redactor takes secrets out of what leaves a server and strips what is
// invisible. A secret becomes a mark such as "redacted:1f2e3d4c", a keyed
// fingerprint, so that "same or different?" can still be asked: the same secret
// has the same mark whether it stood in a Secret's data (which is decoded
// first), its stringData, an environment literal, a URL or a log line. Keys and
// names stay. Redacting twice changes nothing.
type Redactor struct {
	key   []byte
	clean func(string) string // what comes of what cannot be seen
}

// NewRedactor returns a Redactor whose fingerprints are keyed with key.
func NewRedactor(key []byte) *Redactor {
	m := hmac.New(sha256.New, key)
	m.Write([]byte("redact\x00"))
	return &Redactor{m.Sum(nil), Clean}
}

// InSight is r for whoever decides about a change: what r strips is written out,
// for it would be carried out too.
func (r *Redactor) InSight() *Redactor { return &Redactor{r.key, inSight} }

const (
	markPrefix = "redacted:"
	markLen    = len(markPrefix) + 8
)

// mark returns what is shown in place of secret.
func (r *Redactor) mark(secret string) string {
	if secret == "" || isMark(secret) {
		return secret
	}
	m := hmac.New(sha256.New, r.key)
	m.Write([]byte(canonical(secret)))
	return markPrefix + hex.EncodeToString(m.Sum(nil)[:4])
}

// isMark reports whether s is a mark and nothing else.
func isMark(s string) bool {
	if len(s) != markLen || s[:len(markPrefix)] != markPrefix {
		return false
	}
	for _, c := range []byte(s[len(markPrefix):]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// hasMark reports whether there is a mark in s.
func hasMark(s string) bool {
	i := strings.Index(s, markPrefix)
	return i >= 0 && isMark(s[i:min(len(s), i+markLen)])
}

var pemSpace = strings.NewReplacer(`\n`, "", `\r`, "", "\n", "", "\r", "", " ", "", "\t", "")

// canonical makes one key in PEM the same secret however its lines are wrapped.
func canonical(secret string) string {
	if strings.Contains(secret, pemBegin) {
		return pemSpace.Replace(secret)
	}
	return secret
}

// Text redacts free text: log lines, describe output, diffs, URLs, YAML, JSON.
func (r *Redactor) Text(s string) string { return r.text(s, 0) }

// maxNesting bounds documents within documents; what is deeper goes whole.
const maxNesting = 8

// text redacts s, which lies depth documents deep in others.
func (r *Redactor) text(s string, depth int) string {
	raw := s
	s = r.clean(s)
	if len(s) < 6 { // shorter than the shortest key, separator and value
		return s
	}
	if isDocument(s) {
		if depth == maxNesting {
			return r.mark(s)
		}
		// As it came first: cleaning may break a document's strings.
		if out, ok := r.document(raw, depth+1); ok {
			return out
		}
		if out, ok := r.document(s, depth+1); ok && raw != s {
			return out
		}
	}
	s = r.blocks(s)
	return r.scan(s)
}

// isDocument reports whether s may be a whole JSON document.
func isDocument(s string) bool {
	s = strings.TrimSpace(s)
	if len(s) < 2 {
		return false
	}
	first, last := s[0], s[len(s)-1]
	return first == '{' && last == '}' || first == '[' && last == ']' && strings.ContainsAny(s, `"{`)
}

// document redacts s as JSON, leaving its form alone when nothing had to go.
func (r *Redactor) document(s string, depth int) (string, bool) {
	n, err := parseNode(s)
	if err != nil {
		return "", false
	}
	before, _ := n.MarshalJSON() // a tree always encodes
	r.walk(n, place{depth: depth})
	after, _ := n.MarshalJSON()
	if bytes.Equal(before, after) {
		return r.clean(s), true
	}
	if strings.Contains(strings.TrimSpace(s), "\n") {
		var b bytes.Buffer
		if json.Indent(&b, after, "", "  ") == nil {
			after = b.Bytes()
		}
	}
	return string(after), true
}

// node redacts a result tree in place.
func (r *Redactor) node(n *node) { r.walk(n, place{}) }

// Object returns a redacted deep copy of o, by the same rules as any result:
// for handlers that compare or render objects themselves.
func (r *Redactor) Object(o Object) Object {
	if o == nil {
		return nil
	}
	n, err := toNode(o)
	if err != nil {
		return Object{}
	}
	r.node(n)
	return n.plain().(map[string]any)
}

// plain converts the tree to Go's own types, whole numbers to int64.
func (n *node) plain() any {
	switch n.kind {
	case objectNode:
		m := make(map[string]any, len(n.keys))
		for i, key := range n.keys {
			m[key] = n.kids[i].plain()
		}
		return m
	case arrayNode:
		list := make([]any, len(n.kids))
		for i, kid := range n.kids {
			list[i] = kid.plain()
		}
		return list
	case stringNode:
		return n.text
	}
	if i, err := strconv.ParseInt(n.text, 10, 64); err == nil {
		return i
	}
	var v any
	_ = json.Unmarshal([]byte(n.text), &v) // a literal always decodes
	return v
}

// stray serves Redact outside a call.
var stray = sync.OnceValue(func() *Redactor { return NewRedactor([]byte(rand.Text())) })

// Redact returns o redacted as the server of ctx's call would. Outside a call
// the fingerprints are keyed at random.
func Redact(ctx context.Context, o Object) Object { return redactorOf(ctx).Object(o) }

func redactorOf(ctx context.Context) *Redactor {
	if r := CallFrom(ctx).redactor; r != nil {
		return r
	}
	return stray()
}
