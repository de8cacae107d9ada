package mcpkit

import (
	"path"
	"strings"
)

// proseWords follow a flag's name where it is talked about, not used.
var proseWords = setOf("is", "to", "or", "and", "flag", "flags", "for", "with", "in", "from", "not", "must", "was",
	"option", "cannot", "can", "has", "the", "value", "are", "should", "may", "if", "when", "instead", "requires",
	"argument", "string", "will", "as", "on", "a", "an", "but", "file", "set", "that", "which", "by")

// flag looks at a command line's flag and the value after it.
func (t *scanner) flag(i int) int {
	s := t.s
	if i > 0 && strings.IndexByte(" \t\n\"'`[(,=", s[i-1]) < 0 {
		return i
	}
	from := i
	for from < len(s) && s[from] == '-' {
		from++
	}
	to := from
	for to < len(s) && to-from < 64 && (isWord(s[to]) || s[to] == '-' || s[to] == '.') {
		to++
	}
	if to == from || from-i > 2 {
		return i
	}
	if from == i+1 && (to == from+1 || s[from] == 'p') {
		if next := t.short(i, to); next > i {
			return next
		}
	}
	is := classify(s[from:to])
	if is == harmlessNoun {
		return i
	}
	v, ok := t.flagValue(i, to)
	if !ok || is.keeps(v.text) || v.text[0] == '-' || proseWords[v.text] {
		return i
	}
	return t.hide(v)
}

// flagValue reads the value after the flag that ends at p: after a space, as
// the next item of a list, or on a line of its own when the flag has one too.
func (t *scanner) flagValue(flag, p int) (value, bool) {
	s := t.s
	if p < len(s) && (isQuote(s[p]) || s[p] == '\\') {
		comma := false
		for n := 0; p < len(s) && n < 40 && strings.IndexByte("\\\"', \t\n", s[p]) >= 0; n++ {
			comma = comma || s[p] == ','
			if comma && (isQuote(s[p]) || s[p] == '\\') {
				return t.quotedAt(p)
			}
			p++
		}
		return value{}, false
	}
	from := p
	for p < len(s) && (s[p] == ' ' || s[p] == '\t') {
		p++
	}
	if p < len(s) && s[p] == '\n' && startsLine(s, flag) {
		p++
		p += indentOf(s[p:t.lineEnd(p)])
	}
	if p == from || p >= len(s) {
		return value{}, false
	}
	return t.valueAt(p, wordValue)
}

// shortFlags are the commands whose one-letter flag takes a password, or a user
// with one.
var shortFlags = map[string]string{
	"-p": " sshpass mongo mongosh mongodump mongorestore docker podman skopeo crane oras helm nerdctl buildah az ",
	"-a": " redis-cli ",
	"-u": " curl wget ",
	"-w": " ldapsearch ldapadd ldapmodify ldapwhoami ",
	"-P": " sqlcmd ",
}

func shortFlag(command, flag string) bool {
	commands, ok := shortFlags[flag]
	if !ok {
		return false
	}
	for w := range strings.FieldsSeq(command) {
		if strings.Contains(commands, " "+path.Base(w)+" ") {
			return !(flag == "-p" && strings.Contains(command, " run ")) // docker run -p is a port
		}
	}
	return false
}

// attachedFlag reports whether arg is mysql's -pPASSWORD or sshpass's.
func attachedFlag(command, arg string) bool {
	if len(arg) < 3 || arg[:2] != "-p" || arg[2] == '-' || isMark(arg[2:]) || arg[2] == '=' {
		return false
	}
	for w := range strings.FieldsSeq(command) {
		switch path.Base(w) {
		case "mysql", "mysqldump", "mysqladmin", "mysqlimport", "mysqlshow", "mariadb", "mariadb-dump", "mariadb-admin", "sshpass":
			return true
		}
	}
	return false
}

// short looks at the one-letter flag at s[i:to] of the command on its line.
func (t *scanner) short(i, to int) int {
	command := t.s[max(0, i-200):i]
	command = command[strings.LastIndexByte(command, '\n')+1:]
	if to == i+2 && shortFlag(command, t.s[i:to]) {
		v, ok := t.flagValue(i, to)
		if !ok || v.text == "" || isPlaceholder(v.text) || isMark(v.text) || v.text[0] == '-' {
			return i
		}
		t.replace(v.from, v.to, t.r.userPassword(v.text, t.s[i:to]))
		return v.next
	}
	if t.s[i+1] == 'p' && to > i+2 {
		v, ok := t.valueAt(i+2, wordValue)
		if ok && attachedFlag(command, "-p"+v.text) && !isPlaceholder(v.text) {
			return t.hide(v)
		}
	}
	return i
}

// userPassword marks what follows a short flag; after -u it is a user's name
// and password, the name stays.
func (r *Redactor) userPassword(s, flag string) string {
	if flag == "-u" {
		name, password, has := strings.Cut(s, ":")
		if !has {
			return s
		}
		return name + ":" + r.mark(password)
	}
	return r.mark(s)
}

// element looks at an XML element whose name ends at i, as in
// <password>...</password>.
func (t *scanner) element(i int) int {
	s, from := t.s, i
	for from > t.last && i-from < 64 && isKeyByte(s[from-1]) {
		from--
	}
	if from == i || from == 0 || s[from-1] != '<' {
		return i
	}
	name := s[from:i]
	is := classify(name)
	if is == harmlessNoun || name[0] == '/' {
		return i
	}
	to := i + 1 + strings.IndexByte(s[i+1:], '<')
	if to <= i+1 || !strings.HasPrefix(s[to:], "</") {
		return i
	}
	v := value{text: s[i+1 : to], from: i + 1, to: to, next: to}
	if is.keeps(v.text) {
		return i
	}
	return t.hide(v)
}

// statement looks at a quoted string after the words by which SQL gives a
// password.
func (t *scanner) statement(i int) int {
	before := strings.TrimSuffix(strings.ToLower(t.s[max(t.last, i-20):i]), " ")
	if !strings.HasSuffix(before, " password") && !strings.HasSuffix(before, "identified by") {
		return i
	}
	v, ok := t.quotedAt(i)
	if !ok || v.next == v.to || passwordNoun.keeps(v.text) {
		return i
	}
	return t.hide(v)
}
