package mcpkit

import (
	"net/url"
	"strings"
)

// url looks at the URL whose "://" is at i: a password before its host goes,
// the user's name with it, so that what is left still parses.
func (t *scanner) url(i int) int {
	s, from := t.s, i+3
	if t.run <= from {
		for t.run = from; t.run < len(s) && !endsURL(s[t.run]); t.run++ {
		}
	}
	end := t.run
	strict := from
	for strict < end && s[strict] != '/' && s[strict] != '?' && s[strict] != '#' {
		strict++
	}
	at := strings.LastIndexByte(s[from:strict], '@')
	if at < 0 && strict < end {
		at = looseAt(s[from:min(end, from+512)])
	}
	if at < 0 {
		return t.hookURL(i, from, end)
	}
	user := s[from : from+at]
	name, password, has := strings.Cut(user, ":")
	switch {
	case name+":"+password == user && name+":" == markPrefix && isMark(user):
		return from + at + 1
	case has && (password == "" || isPlaceholder(password) || isMask(password)):
		return from + at + 1
	case !has && (len(user) < 16 || !looksSecret(user)):
		return from + at + 1
	case !has:
		password = user
	}
	if plain, err := url.PathUnescape(password); err == nil {
		password = plain
	}
	return 1 + t.replace(from, from+at, t.r.userMark(password))
}

// userMark is a mark in a user's place, where it must be a name and a password.
func (r *Redactor) userMark(password string) string {
	if isMark(password) {
		password += "\n"
	}
	return r.mark(password)
}

func endsURL(c byte) bool {
	return c <= ' ' || isQuote(c) || c == '<' || c == '>' || c == '\\'
}

// looseAt finds the at sign of a user whose password holds a slash or its like,
// which it must not.
func looseAt(s string) int {
	at := strings.IndexByte(s, '@')
	if at < 0 || strings.Contains(s[:at], "://") {
		return -1
	}
	name, password, has := strings.Cut(s[:at], ":")
	if !has || strings.ContainsAny(name, "/?#") {
		return -1
	}
	port, _, _ := strings.Cut(password, "/")
	port, _, _ = strings.Cut(port, "?")
	if isDigits([]byte(port)) && len(port) <= 5 {
		return -1
	}
	return at
}

// hooks are addresses whose path is the secret.
var hooks = []string{"hooks.slack.com/services/", "discord.com/api/webhooks/", "discordapp.com/api/webhooks/", "api.telegram.org/bot",
	"webhook.office.com/webhookb2/"}

func (t *scanner) hookURL(i, from, end int) int {
	for _, hook := range hooks {
		at := strings.Index(t.s[from:min(end, from+len(hook)+40)], hook)
		if at < 0 {
			continue
		}
		path := from + at + len(hook)
		to := path + len(trimClosers(strings.TrimRight(t.s[path:end], ".,;")))
		if to-path < 10 || isMark(t.s[path:to]) {
			return path
		}
		return t.replace(path, to, t.r.mark(t.s[path:to]))
	}
	return i + 2
}

// userAt looks at the at sign of an address without a scheme: app:pw@tcp(db:3306)
// and app:pw@db:5432.
func (t *scanner) userAt(i int) int {
	s := t.s
	rest := s[i+1:]
	if !strings.HasPrefix(rest, "tcp(") && !strings.HasPrefix(rest, "unix(") && !isHostPort(rest) {
		return i
	}
	from := i
	for from > t.last && i-from < 256 && !endsURL(s[from-1]) && s[from-1] != '=' && s[from-1] != '(' {
		from--
	}
	if i-from >= markLen && isMark(s[i-markLen:i]) {
		return i
	}
	if j := strings.LastIndex(s[from:i], markPrefix); j >= 0 && from+j+markLen < i && isMark(s[from+j:from+j+markLen]) {
		from += j + markLen // another address ended here
	}
	if s[from] == '@' && from < i {
		from++
	}
	name, password, has := strings.Cut(s[from:i], ":")
	if !has || name == "" || !isKeyName(name) || password == "" || isPlaceholder(password) || isMask(password) || isMark(s[from:i]) {
		return i
	}
	return t.replace(from, i, t.r.userMark(password))
}

func isKeyName(s string) bool {
	for i := range len(s) {
		if !isKeyByte(s[i]) || s[i] == '/' {
			return false
		}
	}
	return true
}

// isHostPort reports whether s begins with a host and a port, which a digest
// after an image's at sign is not.
func isHostPort(s string) bool {
	i := 0
	for i < len(s) && i < 253 && (isWord(s[i]) || s[i] == '.' || s[i] == '-') {
		i++
	}
	if i == 0 || i+1 >= len(s) || s[i] != ':' || strings.HasPrefix(s, "sha") {
		return false
	}
	j := i + 1
	for j < len(s) && j < i+7 && s[j] >= '0' && s[j] <= '9' {
		j++
	}
	return j > i+2 && j < i+7 && (j == len(s) || !isWord(s[j]))
}
