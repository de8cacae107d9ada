package mcpkit

import "strings"

// keyPlace is a key found before a separator.
type keyPlace struct {
	text      string
	from      int
	quoted    bool
	spaced    bool // there is space between key and separator
	escaped   bool // an escaped line end comes before it
	lineStart bool // nothing but indentation and list or diff signs before it
}

// keyBefore reads back from the separator at i.
func (t *scanner) keyBefore(i int) keyPlace {
	s, j := t.s, i
	for j > t.last && i-j < 40 && (s[j-1] == ' ' || s[j-1] == '\t') {
		j--
	}
	k := keyPlace{spaced: j < i}
	if j > t.last+1 && s[j-1] == ']' && isQuote(s[j-2]) {
		j--
	}
	if j > t.last && isQuote(s[j-1]) {
		k.quoted = true
		for j--; j > t.last && s[j-1] == '\\'; j-- {
		}
	}
	end := j
	for j > t.last && end-j < 128 && isKeyByte(s[j-1]) {
		j--
	}
	if j > 0 && j < end && t.escaped(j) {
		j++
		k.escaped = true
	}
	for j < end && !isWord(s[j]) {
		j++
	}
	k.from, k.text = j, s[j:end]
	if strings.EqualFold(k.text, "key") || strings.EqualFold(k.text, "string") {
		k.widen(s, t.last)
	}
	k.lineStart = k.escaped || startsLine(s, k.from)
	return k
}

// widen takes in the word before, as in "API key: ...".
func (k *keyPlace) widen(s string, last int) {
	j := k.from - 1
	if j <= last || s[j] != ' ' {
		return
	}
	for j > last && k.from-j < 20 && isWord(s[j-1]) {
		j--
	}
	if classify(s[j:k.from+len(k.text)]) != harmlessNoun {
		k.from, k.text = j, s[j:k.from+len(k.text)]
	}
}

func isKeyByte(c byte) bool { return isWord(c) || c == '-' || c == '.' || c == '/' }
func isQuote(c byte) bool   { return c == '"' || c == '\'' || c == '`' }

// startsLine reports whether a line begins at i, indentation, list, comment,
// quote and diff signs apart.
func startsLine(s string, i int) bool {
	for n := 0; i > 0 && n < 64; i, n = i-1, n+1 {
		switch s[i-1] {
		case ' ', '\t', '-', '+', '#', '"', '\'':
		case '\n':
			return true
		default:
			return false
		}
	}
	return i == 0
}

// pair looks at a key and its value around the separator at i.
func (t *scanner) pair(i int) int {
	k := t.keyBefore(i)
	if k.text == "" {
		return i
	}
	sep := t.separator(i)
	if sep == 0 {
		return i
	}
	if isNameKey(k.text) {
		return t.named(i + sep)
	}
	is := classify(k.text)
	if is == harmlessNoun {
		if t.inQuery(k) && queryNouns[strings.ToLower(k.text)] {
			is = tokenNoun
		} else {
			return i
		}
	}
	return t.valueOf(k, is, i+sep)
}

// separator is the length of the separator at i, 0 when it is another sign.
func (t *scanner) separator(i int) int {
	var before, after byte
	if i > 0 {
		before = t.s[i-1]
	}
	if i+1 < len(t.s) {
		after = t.s[i+1]
	}
	if t.s[i] == ':' {
		switch {
		case after == '=':
			return 2
		case after == ':' || before == ':':
			return 0
		}
		return 1
	}
	switch {
	case before == '!' || before == '=' || before == '<' || before == '>' || before == '~' || before == ':':
		return 0
	case after == '>':
		return 2
	case after == '=' || after == '~':
		return 0
	}
	return 1
}

// queryNouns are secrets in a URL's query alone.
var queryNouns = setOf("sig", "signature", "key", "x-amz-signature", "x-amz-credential", "x-goog-signature", "hmac")

func (t *scanner) inQuery(k keyPlace) bool {
	return k.from > 0 && (t.s[k.from-1] == '?' || t.s[k.from-1] == '&')
}

func isNameKey(key string) bool {
	return strings.EqualFold(key, "name") || strings.EqualFold(key, "key")
}

// named looks at an environment literal written as a name and a value, in
// YAML, JSON or Go's own notation; p is after the name's separator.
func (t *scanner) named(p int) int {
	name, ok := t.valueAt(p, wordValue)
	if !ok {
		return p
	}
	is := classify(name.text)
	if is == harmlessNoun {
		return p
	}
	s, j := t.s, name.next
	for n := 0; j < len(s) && n < 80 && strings.IndexByte(" \t\n,;\"'\\+-", s[j]) >= 0; n++ {
		if s[j] == '\\' && j+1 < len(s) && (s[j+1] == 'n' || s[j+1] == 't') {
			j++
		}
		j++
	}
	if len(s)-j < 6 || !strings.EqualFold(s[j:j+5], "value") {
		return p
	}
	k := keyPlace{text: name.text, from: j, lineStart: startsLine(s, j)}
	for j += 5; j < len(s) && strings.IndexByte("\\\"' ", s[j]) >= 0; j++ {
		k.quoted = k.quoted || isQuote(s[j])
	}
	if j == len(s) || s[j] != ':' && s[j] != '=' {
		return p
	}
	return t.valueOf(k, is, j+1)
}

// valueOf redacts the value at p, after key k and its separator.
func (t *scanner) valueOf(k keyPlace, is noun, p int) int {
	spaced := p < len(t.s) && (t.s[p] == ' ' || t.s[p] == '\t')
	colon := t.s[p-1] == ':'
	how := wordValue
	if spaced && k.lineStart && (!k.quoted || colon) || is == authNoun && spaced && t.headerAt(k, p+1) {
		how = lineValue
	}
	after := p
	p = t.skipInvalid(p)
	v, ok := t.valueAt(p, how)
	if !ok {
		return t.items(k, is, p)
	}
	if !colon && !v.quoted && k.from > 0 && t.s[k.from-1] == ';' {
		v.toSemicolon(t.s[:t.lineEnd(p)])
	}
	if v.block {
		return t.hideBlock(k, v)
	}
	if how == lineValue && !v.quoted {
		v.stopEarly(k, is, t.s)
	}
	if next, spared := t.spared(k, is, v, after); spared {
		return next
	}
	return t.hideAs(k, is, v)
}

// spared reports whether the value after the separator that ends at p is no
// secret, and where to go on then.
func (t *scanner) spared(k keyPlace, is noun, v value, p int) (next int, spared bool) {
	colon, spaced := t.s[p-1] == ':', v.from > p && t.s[p] <= ' '
	prose := colon && spaced && !k.lineStart && !v.quoted
	switch {
	case v.quoted:
		return v.next, is.keeps(v.text)
	case t.s[v.from] == '[':
		return t.list(v.from, is), true
	case t.s[v.from] == '{' && !isPlaceholder(v.text):
		return p, true
	case k.quoted && colon && !k.lineStart && !t.flow(k, v):
		return p, true // said about the key, not given for it
	case colon && !spaced && k.from > 0 && t.s[k.from-1] == ':':
		return p, true // an ARN or its like
	case v.text == "", is == connNoun && strings.ContainsAny(v.text, "=@"):
		return p, true // its parts are looked at by themselves
	case is.keeps(v.text):
		return p, true
	case is == secretNoun && !looksSecret(v.text) && (prose || k.lineStart && strings.Contains(v.text, " ")):
		return p, true
	case prose && (!t.prose(is, v) || hasMark(v.text)):
		return p, true
	}
	first, _, words := strings.Cut(v.text, " ")
	return p, words && k.lineStart && is != passwordNoun && (!anySecret(v.text) || schemaTypes[first])
}

// schemaTypes begin a line that describes a field instead of giving its value.
var schemaTypes = setOf("string", "integer", "number", "boolean", "object", "array")

// hideAs redacts a value found to be secret, in the way of its kind.
func (t *scanner) hideAs(k keyPlace, is noun, v value) int {
	switch is {
	case connNoun:
		t.replace(v.from, v.to, t.r.connection(t.s[v.from:v.to]))
		return v.next
	case authNoun:
		if out, ok := t.r.authorization(k.text, v.text); ok {
			t.replace(v.from, v.to, out)
			return v.next
		}
		return v.from
	}
	if scheme, rest, ok := strings.Cut(v.text, " "); ok && isScheme(scheme) {
		t.replace(v.from, v.to, scheme+" "+t.r.mark(rest))
		return v.next
	}
	v.text = t.r.undress(v.text)
	return t.hide(v)
}

// headerAt reports whether what is at p has spaces and is secret for certain: a
// header's scheme and credentials, or cookies.
func (t *scanner) headerAt(k keyPlace, p int) bool {
	word, _, found := strings.Cut(t.s[p:min(len(t.s), p+20)], " ")
	return found && isScheme(word) || isCookie(k.text)
}

// stopEarly ends a line's value at the quote that holds the whole line, and
// before the comma after a JSON value.
func (v *value) stopEarly(k keyPlace, is noun, s string) {
	quotes := ""
	if k.quoted {
		v.text = strings.TrimSuffix(v.text, ",")
	} else if k.from > 0 && isQuote(s[k.from-1]) {
		quotes = s[k.from-1 : k.from]
	} else if is == authNoun && !k.lineStart {
		quotes = `"'`
	}
	if i := strings.IndexAny(v.text, quotes); i >= 0 {
		v.text = v.text[:i]
	}
	v.text = strings.TrimRight(v.text, " \t")
	v.to = v.from + len(v.text)
	v.next = v.to
}

// flow reports whether an unquoted value fits a quoted key, as numbers do in
// JSON and words in YAML's flow form.
func (t *scanner) flow(k keyPlace, v value) bool {
	if isNumber(v.text) {
		return true
	}
	j := k.from - 1 // the quote
	for j > t.last && (isQuote(t.s[j]) || t.s[j] == ' ' || t.s[j] == '\\') {
		j--
	}
	return j >= 0 && (t.s[j] == '{' || t.s[j] == ',')
}

// prose reports whether the word after "key: " within a sentence is its value.
func (t *scanner) prose(is noun, v value) bool {
	if looksSecret(v.text) {
		return true
	}
	rest := strings.TrimLeft(t.s[v.next:min(len(t.s), v.next+2)], " ")
	return is == passwordNoun && (rest == "" || !isWord(rest[0]) && rest[0] != '"')
}

func anySecret(v string) bool {
	for w := range strings.FieldsSeq(v) {
		if looksSecret(w) {
			return true
		}
	}
	return false
}

// skipInvalid skips the words by which API servers quote a refused value.
func (t *scanner) skipInvalid(p int) int {
	for _, words := range []string{" Invalid value: ", " Unsupported value: ", " Duplicate value: "} {
		if strings.HasPrefix(t.s[p:], words) {
			return p + len(words)
		}
	}
	return p
}
