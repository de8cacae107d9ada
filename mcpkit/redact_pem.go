package mcpkit

import (
	"encoding/base64"
	"strings"
)

const (
	pemBegin  = "-----BEGIN "
	pemEnd    = "-----END "
	pemBase64 = "LS0tLS1CRUdJTi" // base64 of pemBegin, as far as it goes
)

// isPublicPEM reports whether a PEM label names something anyone may see.
func isPublicPEM(label string) bool {
	for _, public := range []string{"CERTIFICATE", "PUBLIC KEY", "X509 CRL", "PARAMETERS", "PKCS7", "CMS", "PGP SIGNATURE", "PGP MESSAGE", "SSH SIGNATURE"} {
		if strings.Contains(label, public) {
			return !strings.Contains(label, "PRIVATE")
		}
	}
	return false
}

// pemLabel reads the label after pemBegin or pemEnd.
func pemLabel(s string) string {
	label, _, _ := strings.Cut(s[:min(len(s), 64)], "-----")
	return label
}

// pemEnds remembers where the next end of a block is, so that many beginnings
// without an end stay cheap.
type pemEnds struct {
	at    int
	known bool
}

func (e *pemEnds) after(s string, i int) int {
	if !e.known || e.at >= 0 && e.at < i {
		e.known, e.at = true, strings.Index(s[i:], pemEnd)
		if e.at >= 0 {
			e.at += i
		}
	}
	return e.at
}

// pemBlock redacts a private key from its beginning or, when that was cut off,
// back from its end.
func (t *scanner) pemBlock(i int) int {
	s := t.s
	if strings.HasPrefix(s[i:], pemEnd) {
		return t.pemTail(i)
	}
	body := i + len(pemBegin)
	label := pemLabel(s[body:])
	if isPublicPEM(label) {
		return body
	}
	end := t.pem.after(s, body)
	if next := strings.Index(s[body:max(body, end)], pemBegin); end < 0 || next >= 0 {
		to := cutPEM(s, min(len(s), body+len(label)+5))
		return t.replace(i, to, t.r.mark(s[i:to]))
	}
	to := end + len(pemEnd)
	to = min(len(s), to+len(pemLabel(s[to:]))+5)
	return t.replace(i, to, t.r.mark(s[i:to]))
}

// pemTail redacts the lines of base64 before an end without a beginning.
func (t *scanner) pemTail(i int) int {
	s := t.s
	label := pemLabel(s[i+len(pemEnd):])
	if isPublicPEM(label) {
		return i
	}
	from := i
	for from > t.last && (base64Bytes[s[from-1]] || strings.IndexByte("\n\\ \t", s[from-1]) >= 0) {
		from--
	}
	if i-from >= 8 && isMark(s[max(0, from-len(markPrefix)):from+8]) {
		from += 8
	}
	for from < i && strings.IndexByte("\n\\ \t", s[from]) >= 0 {
		from++
	}
	if strings.HasPrefix(s[from:], "n") && from > 0 && s[from-1] == '\\' {
		from++
	}
	if i-from < 16 {
		return i
	}
	to := min(len(s), i+len(pemEnd)+len(label)+5)
	return t.replace(from, to, t.r.mark(s[from:to]))
}

// cutPEM returns where the base64 after p ends, lines and their escapes
// included.
func cutPEM(s string, p int) int {
	end, newLine := p, false
	for p < len(s) {
		switch {
		case strings.IndexByte(" \t\n", s[p]) >= 0:
			newLine = newLine || s[p] == '\n'
			p++
		case s[p] == '\\' && p+1 < len(s) && strings.IndexByte("nr", s[p+1]) >= 0:
			newLine = true
			p += 2
		case strings.HasPrefix(s[p:], "Proc-Type:") || strings.HasPrefix(s[p:], "DEK-Info:"):
			p = lineEnd(s, p)
			end = p
		default:
			to := run(s, p, base64Bytes)
			if to == p || to-p < 16 && s[to-1] != '=' && !(to == len(s) && newLine) {
				return end
			}
			p, end, newLine = to, to, false
		}
	}
	return end
}

// base64PEM redacts base64 of PEM that holds a private key.
func (t *scanner) base64PEM(i int) int {
	to := run(t.s, i, base64Bytes)
	text := strings.TrimRight(t.s[i:to], "=")
	plain, _ := base64.RawStdEncoding.DecodeString(text[:len(text)&^3])
	private := false
	for rest := string(plain); ; {
		_, after, found := strings.Cut(rest, pemBegin)
		if !found {
			break
		}
		private = private || !isPublicPEM(pemLabel(after))
		rest = after
	}
	if !private {
		return to
	}
	return t.replace(i, to, t.r.mark(t.r.undress(t.s[i:to])))
}

// derKeys begin base64 of private keys without PEM around them.
var derKeys = []string{"MHcCAQEE", "MIGkAgEBBD", "MIGHAgEAMBMG", "MIG2AgEAMBAG", "MC4CAQAwBQYDK2Vw"}

// der redacts base64 of a private key's DER, such as a line of PEM whose
// beginning is elsewhere, with the lines that follow.
func (t *scanner) der(i int) int {
	s := t.s[i:]
	found := len(s) > 12 && s[:3] == "MII" && s[6:9] == "IBA" && (s[9] == 'A' || s[9] == 'D') // a sequence, then version 0
	for _, p := range derKeys {
		found = found || strings.HasPrefix(s, p)
	}
	if !found || run(t.s, i, base64Bytes)-i < 32 {
		return i
	}
	to := cutPEM(t.s, i)
	if strings.HasPrefix(strings.TrimLeft(t.s[to:], "\\nr \t\n"), pemEnd) {
		to += strings.Index(t.s[to:], pemEnd) + len(pemEnd)
		to = min(len(t.s), to+len(pemLabel(t.s[to:]))+5)
	}
	return t.replace(i, to, t.r.mark(t.s[i:to]))
}

// splitKeys redacts private keys that lie across the items of a list, as the
// lines of a log do.
func (r *Redactor) splitKeys(items []*node) {
	inside := false
	for i, item := range items {
		if item.kind != stringNode {
			inside = false
			continue
		}
		s := item.text
		if inside {
			ending := i+1 < len(items) && strings.Contains(items[i+1].text, pemEnd)
			inside = r.keyLine(item, ending)
		}
		if i := strings.LastIndex(s, pemBegin); i >= 0 {
			inside = !isPublicPEM(pemLabel(s[i+len(pemBegin):])) && !strings.Contains(s[i:], pemEnd)
		}
	}
}

// keyLine redacts one line inside a private key, perhaps the last before its
// end, and reports whether the key goes on after it.
func (r *Redactor) keyLine(item *node, ending bool) bool {
	s := Clean(item.text)
	from, to := strings.LastIndexByte(strings.TrimRight(s, " "), ' ')+1, len(s)
	ends := false
	if i := strings.Index(s, pemEnd); i >= 0 {
		from, ends = strings.LastIndexByte(s[:i], ' ')+1, true
	} else if body := strings.TrimRight(s[from:], " "); isMark(body) {
		return true
	} else if len(body) > 0 && run(body, 0, base64Bytes) < len(body) {
		return strings.HasPrefix(s, "Proc-Type:") || strings.HasPrefix(s, "DEK-Info:")
	} else if body == "" {
		return s == ""
	} else if len(body) < 16 && !ending && body[len(body)-1] != '=' {
		return false
	}
	item.text = s[:from] + r.mark(s[from:to])
	return !ends
}
