package mcpkit

import (
	"regexp"
	"strings"
)

// blocks redacts what only the lines around it give away: the data of a Secret
// in YAML or in part of a JSON text, and what kubectl describe shows of a
// ConfigMap. It also redacts what follows a telling word after no more than a space.
func (r *Redactor) blocks(s string) string {
	if strings.Contains(s, "ata") && (strings.Contains(s, "Secret") || strings.Contains(s, "Opaque") || strings.Contains(s, "kubernetes.io/")) {
		if strings.IndexByte(s, '\n') >= 0 {
			s = r.yamlSecrets(s)
		}
		s = r.jsonSecrets(s)
	}
	if strings.Contains(s, ":\n----\n") {
		s = r.described(s)
	}
	if strings.Contains(s, "requirepass") || strings.Contains(s, "masterauth") || strings.Contains(s, "machine ") {
		s = r.directives(s)
	}
	return s
}

// directive is a word of a configuration that makes the next one a secret: of
// Redis, and of .netrc.
var directive = regexp.MustCompile(`(?m)(?:^|\\n)[ \t#+-]*(?:requirepass|masterauth)[ \t]+["']?([^\s"'\\]+)|\bmachine\s+\S+\s+login\s+\S+\s+password\s+([^\s"'\\]+)`)

func (r *Redactor) directives(s string) string {
	t := scanner{r: r, s: s}
	for _, m := range directive.FindAllStringSubmatchIndex(s, -1) {
		from, to := max(m[2], m[4]), max(m[3], m[5])
		t.replace(from, to, r.mark(s[from:to]))
	}
	if t.out == nil {
		return s
	}
	return string(append(t.out, s[t.last:]...))
}

// line is one line of a YAML text or of a diff of one.
type line struct {
	from, to int // in the text
	column   int // of its key
	dash     int // how many list items begin on it
	key, val string
}

// lines splits s and reads each line's key and value.
func linesOf(s string) []line {
	list := make([]line, 0, strings.Count(s, "\n")+1)
	for p := 0; p <= len(s); {
		end := lineEnd(s, p)
		text := s[p:end]
		l := line{from: p, to: end, column: indentOf(text)}
		if l.column > 0 { // a sign in the first column is a diff's, unless it is a list's
			l.dash = strings.Count(text[1:l.column], "-")
			if l.column == 2 && text[0] == '-' {
				l.dash++
			}
		}
		key, val, found := strings.Cut(text[l.column:], ":")
		if found {
			l.key, l.val = strings.Trim(strings.TrimSpace(key), `"'`), strings.Trim(strings.TrimSpace(val), `"', `)
		}
		list = append(list, l)
		p = end + 1
	}
	return list
}

func (l line) blank(s string) bool {
	text := strings.TrimSpace(s[l.from:l.to])
	return text == "" || text == "+" || text == "-" || strings.HasPrefix(text, "@@")
}

func (l line) separates(s string) bool {
	text := s[l.from:l.to]
	return strings.HasPrefix(text, "---") || strings.HasPrefix(text, "+---")
}

// yamlSecrets redacts data and stringData beside a line that says the mapping
// is a Secret.
func (r *Redactor) yamlSecrets(s string) string {
	lines := linesOf(s)
	hide := make([]byte, len(lines)) // 1: starts a block of data, 2: of stringData
	seen := map[int]int{}            // column -> last line of the mapping handled there
	for i, l := range lines {
		list := l.key == "kind" && l.val == "SecretList"
		if !list && !(l.key == "kind" && isSecretKind(l.val)) && !(l.key == "type" && secretTypes[l.val]) {
			continue
		}
		if until, ok := seen[l.column]; ok && i <= until {
			continue
		}
		first, last := mapping(s, lines, i)
		seen[l.column] = last
		for j := first; j <= last; j++ {
			if lines[j].column != l.column && !list {
				continue
			}
			switch lines[j].key {
			case "data":
				hide[j] = 1
			case "stringData":
				hide[j] = 2
			}
		}
	}
	var b strings.Builder
	done := 0
	for i := range lines {
		if hide[i] > 0 && lines[i].from >= done {
			done = r.hideMapping(&b, s, lines, i, done, hide[i] == 1)
		}
	}
	if done == 0 {
		return s
	}
	b.WriteString(s[done:])
	return b.String()
}

// mapping returns the first and last line of the mapping that line i is in.
func mapping(s string, lines []line, i int) (first, last int) {
	column := lines[i].column
	outside := func(l line) bool { return !l.blank(s) && (l.column < column || l.separates(s)) }
	first, last = i, i
	for lines[first].dash == 0 || lines[first].column != column {
		if first == 0 || outside(lines[first-1]) {
			break
		}
		first--
	}
	for last+1 < len(lines) && !outside(lines[last+1]) && !(lines[last+1].dash > 0 && lines[last+1].column == column) {
		last++
	}
	return first, last
}

// hideMapping redacts the values below line i and returns how far it settled s.
func (r *Redactor) hideMapping(b *strings.Builder, s string, lines []line, i, done int, decode bool) int {
	column, child := lines[i].column, -1
	for j := i + 1; j < len(lines); {
		l := lines[j]
		if l.blank(s) {
			j++
			continue
		}
		if l.column <= column || l.separates(s) {
			break
		}
		if child < 0 {
			child = l.column
		}
		last := j // of this value's lines
		for last+1 < len(lines) && !lines[last+1].separates(s) && (lines[last+1].column > child || lines[last+1].blank(s)) {
			last++
		}
		for last > j && lines[last].blank(s) {
			last--
		}
		from := l.from + l.column
		if colon := strings.Index(s[from:l.to], ":"); colon >= 0 && !isMark(strings.TrimSpace(s[from:l.to])) {
			from += colon + 1
		}
		to := lines[last].to
		b.WriteString(s[done:from])
		b.WriteString(r.hideYAML(s[from:to], decode))
		done = to
		j = last + 1
	}
	return done
}

// hideYAML marks one YAML value: plain, quoted or a block, space before kept.
func (r *Redactor) hideYAML(s string, decode bool) string {
	text := strings.TrimSpace(s)
	if text == "" || isMark(text) || text == `""` || text == "''" {
		return s
	}
	space := s[:len(s)-len(strings.TrimLeft(s, " \t\n"))]
	head, body, isBlock := strings.Cut(text, "\n")
	if isBlock && (head[0] == '|' || head[0] == '>') {
		var plain []string
		for line := range strings.SplitSeq(body, "\n") {
			plain = append(plain, line[min(len(line), indentOf(line)):])
		}
		text = strings.Join(plain, "\n")
		if !strings.HasSuffix(head, "-") {
			text += "\n"
		}
	}
	t := scanner{s: text}
	if v, ok := t.quotedAt(0); ok && v.next == len(text) {
		text = v.text
	}
	return space + r.secretValue(text, decode)
}

var (
	secretJSON = regexp.MustCompile(`kind\\*["']?\s*:\s*\\*["']?Secret(?:List)?\b|type\\*["']?\s*:\s*\\*["']?(?:Opaque|kubernetes\.io/)`)
	dataJSON   = regexp.MustCompile(`\b(?:stringD|d)ata\\*["']?\s*:\s*\{`)
)

// jsonSecrets redacts data and stringData in JSON, or flow YAML, that is part
// of a text or of a string in it, or that was cut.
func (r *Redactor) jsonSecrets(s string) string {
	if !secretJSON.MatchString(s) {
		return s
	}
	t := scanner{r: r, s: s}
	for _, m := range dataJSON.FindAllStringIndex(s, -1) {
		if m[0] >= t.last {
			t.hideObject(m[1], strings.HasPrefix(s[m[0]:], "data"))
		}
	}
	if t.out == nil {
		return s
	}
	return string(append(t.out, s[t.last:]...))
}

// hideObject redacts the values of a flat object whose brace ends at p.
func (t *scanner) hideObject(p int, decode bool) {
	for p < len(t.s) && t.s[p] != '}' {
		key, ok := t.flowAt(p, ":")
		if ok && key.next >= len(t.s) {
			return
		}
		var v value
		if ok {
			v, ok = t.flowAt(key.next+1, ",}")
		}
		if !ok || isMark(key.text+":"+v.text) {
			t.hideRest(p)
			return
		}
		if v.text != "" && v.text != "null" && v.text != "{" {
			t.replace(v.from, v.to, t.r.secretValue(v.text, decode))
		}
		p = v.next
		if p < len(t.s) && t.s[p] == ',' {
			p++
		}
	}
}

// hideRest redacts what is left of an object that cannot be read.
func (t *scanner) hideRest(p int) {
	rest, _, _ := strings.Cut(t.s[p:], "}")
	if text := strings.TrimSpace(rest); text != "" && !isMark(text) {
		from := p + strings.Index(rest, text)
		t.replace(from, from+len(text), t.r.mark(text))
	}
}

// flowAt reads a quoted or plain scalar that one of stops ends, or the end of
// the text.
func (t *scanner) flowAt(p int, stops string) (value, bool) {
	s := t.s
	for p < len(s) && strings.IndexByte(" \t\n", s[p]) >= 0 {
		p++
	}
	if p == len(s) || s[p] == '}' {
		return value{}, false
	}
	v, ok := t.quotedAt(p)
	if !ok {
		end := strings.IndexAny(s[p:], stops+"\n")
		if end < 0 {
			end = len(s) - p
		}
		text := strings.TrimSpace(s[p : p+end])
		v = value{text: text, from: p, to: p + len(text), next: p + end}
	}
	for v.next < len(s) && strings.IndexByte(stops, s[v.next]) < 0 && strings.IndexByte(" \t\n\\", s[v.next]) >= 0 {
		v.next++
	}
	return v, v.next >= len(s) || strings.IndexByte(stops, s[v.next]) >= 0
}

var (
	describedKey = regexp.MustCompile(`(?m)^([\w.-]+):\n----\n`)
	describedEnd = regexp.MustCompile(`(?m)^(?:[\w.-]+:\n----|BinaryData\n====|Events:)`)
)

// described redacts the values of telling keys in kubectl describe's view of a
// ConfigMap.
func (r *Redactor) described(s string) string {
	t := scanner{r: r, s: s}
	for _, m := range describedKey.FindAllStringSubmatchIndex(s, -1) {
		is := classify(s[m[2]:m[3]])
		if is == harmlessNoun || m[1] < t.last {
			continue
		}
		end := len(s)
		if next := describedEnd.FindStringIndex(s[m[1]:]); next != nil {
			end = m[1] + next[0]
		}
		if text := strings.TrimSpace(s[m[1]:end]); !is.keeps(text) {
			from := m[1] + strings.Index(s[m[1]:end], text)
			t.replace(from, from+len(text), r.mark(text))
		}
	}
	if t.out == nil {
		return s
	}
	return string(append(t.out, s[t.last:]...))
}
