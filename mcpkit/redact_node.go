package mcpkit

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
)

// place is where in a tree a value stands.
type place struct {
	key   string // it is under, through lists
	kind  string // of Kubernetes object it must be, for items of a typed list
	depth int    // documents around this one
}

func parseNode(s string) (*node, error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	n, err := readNode(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	return n, nil
}

// walk redacts n in place.
func (r *Redactor) walk(n *node, at place) {
	switch n.kind {
	case objectNode:
		r.object(n, at)
	case arrayNode:
		r.array(n, at)
	case stringNode:
		n.text = r.under(at.key, n.text, at.depth)
	case literalNode:
		if classify(at.key) == passwordNoun && isNumber(n.text) {
			n.kind, n.text = stringNode, r.mark(n.text)
		}
	}
}

// under redacts a string that stands under key.
func (r *Redactor) under(key, s string, depth int) string {
	s = r.clean(s)
	is := classify(key)
	switch {
	case is == harmlessNoun:
		return r.text(s, depth)
	case is.keeps(s):
		return s
	case is == connNoun:
		return r.connection(s)
	case is == authNoun:
		if out, ok := r.authorization(key, s); ok {
			return out
		}
		return r.text(s, depth)
	}
	return r.mark(r.undress(s))
}

// undress decodes a secret that is base64 of something telling, so that its
// mark is the one of the thing itself.
func (r *Redactor) undress(s string) string {
	if strings.HasPrefix(s, pemBase64) {
		if b, err := base64.StdEncoding.DecodeString(s); err == nil {
			return string(b)
		}
	}
	return s
}

// connection redacts a connection string: the secret part where it can be told,
// else the whole.
func (r *Redactor) connection(s string) string {
	if out := r.scan(s); out != s || hasMark(s) {
		return out
	}
	return r.mark(s)
}

// authorization redacts what may be a credential or the name of a method, and
// reports whether it is the former.
func (r *Redactor) authorization(key, s string) (string, bool) {
	if scheme, rest, ok := strings.Cut(s, " "); ok && isScheme(scheme) {
		return scheme + " " + r.mark(rest), true
	}
	if len(key) <= len("authorization") && !looksSecret(s) && !isCookie(key) {
		return s, false
	}
	return r.mark(s), true
}

func isCookie(key string) bool { return strings.HasSuffix(strings.ToLower(key), "cookie") }

func isScheme(s string) bool {
	switch strings.ToLower(s) {
	case "bearer", "basic", "digest", "token", "negotiate", "ntlm", "apikey", "aws4-hmac-sha256":
		return true
	}
	return false
}

func (r *Redactor) object(n *node, at place) {
	kind := at.kind
	if k := n.get("kind"); k != nil && k.kind == stringNode {
		kind = k.text
	}
	secret := isSecretKind(kind) || isSecretType(n.get("type")) && n.get("data") != nil
	named := n.named()
	for i, key := range n.keys {
		kid := n.kids[i]
		n.keys[i] = r.text(key, at.depth)
		switch {
		case key == "stringData", secret && key == "data": // only Secrets have stringData, said or not
			r.all(kid, key == "data")
		case key == "items" && strings.HasSuffix(kind, "List"):
			r.walk(kid, place{kind: strings.TrimSuffix(kind, "List"), depth: at.depth})
		case named != "" && strings.EqualFold(key, "value"):
			r.walk(kid, place{key: named, depth: at.depth})
		case key == "rows" && n.get("columns") != nil:
			r.table(kid, n.get("columns"), at.depth)
		default:
			r.walk(kid, place{key: key, depth: at.depth})
		}
	}
}

// named returns what an object with a name and a value is the value of, as
// environment literals, headers and parameters are.
func (n *node) named() string {
	if n.get("value") == nil && n.get("Value") == nil {
		return ""
	}
	for _, key := range []string{"name", "key", "Name", "Key"} {
		if k := n.get(key); k != nil && k.kind == stringNode {
			return k.text
		}
	}
	return ""
}

func isSecretKind(kind string) bool { return strings.EqualFold(kind, "Secret") }

// isSecretType recognises a Secret that lost its kind by its type.
func isSecretType(t *node) bool { return t != nil && t.kind == stringNode && secretTypes[t.text] }

var secretTypes = setOf("Opaque", "kubernetes.io/service-account-token", "kubernetes.io/dockercfg",
	"kubernetes.io/dockerconfigjson", "kubernetes.io/basic-auth", "kubernetes.io/ssh-auth", "kubernetes.io/tls",
	"bootstrap.kubernetes.io/token", "helm.sh/release.v1")

// all redacts every value below n, whatever its key.
func (r *Redactor) all(n *node, decode bool) {
	switch n.kind {
	case objectNode, arrayNode:
		for _, kid := range n.kids {
			r.all(kid, decode)
		}
	case stringNode:
		n.text = r.secretValue(n.text, decode)
	case literalNode:
		if n.text != "null" {
			n.kind, n.text = stringNode, r.mark(n.text)
		}
	}
}

// secretValue marks one value of a Secret by what it means, not by how it is
// encoded.
func (r *Redactor) secretValue(s string, decode bool) string {
	if decode && !isMark(s) {
		if b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(s), "")); err == nil {
			s = string(b)
		}
		if isMark(s) {
			s += "\n" // a value that poses as a mark gets one of its own
		}
	}
	return r.mark(s)
}

func (r *Redactor) array(n *node, at place) {
	r.arguments(n)
	r.splitKeys(n.kids)
	for _, kid := range n.kids {
		r.walk(kid, at)
	}
}

// arguments redacts values that follow their flag as a list item of their own.
func (r *Redactor) arguments(n *node) {
	command := ""
	for i, kid := range n.kids {
		if kid.kind != stringNode {
			return
		}
		kid.text = r.clean(kid.text)
		if i > 0 {
			flag := n.kids[i-1].text
			switch {
			case strings.HasPrefix(flag, "-") && !strings.ContainsAny(flag, "= ") && (!strings.HasPrefix(kid.text, "-") || strings.HasPrefix(kid.text, pemBegin)):
				if is := classify(flag); is != harmlessNoun && !is.keeps(kid.text) {
					kid.text = r.mark(kid.text)
				} else if shortFlag(command, flag) {
					kid.text = r.userPassword(kid.text, flag)
				}
			case attachedFlag(command, kid.text):
				kid.text = "-p" + r.mark(kid.text[2:])
			}
		}
		if len(command) < 200 {
			command += kid.text + " "
		}
	}
}

// table redacts rows cell by cell under their columns' names.
func (r *Redactor) table(rows, columns *node, depth int) {
	width := 0
	for _, row := range rows.kids {
		width = max(width, len(row.kids))
	}
	for j := range width {
		var column []*node
		for _, row := range rows.kids {
			if j < len(row.kids) {
				column = append(column, row.kids[j])
			}
		}
		r.splitKeys(column)
		key := ""
		if j < len(columns.kids) && classify(columns.kids[j].text) != secretNoun { // a column of that name holds names
			key = columns.kids[j].text
		}
		for _, cell := range column {
			r.walk(cell, place{key: key, depth: depth})
		}
	}
}

func isNumber(s string) bool { return s != "" && (s[0] == '-' || s[0] >= '0' && s[0] <= '9') }
