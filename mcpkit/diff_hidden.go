package mcpkit

import (
	"regexp"
	"strings"
)

// anyMark is a mark within a text.
var anyMark = regexp.MustCompile(markPrefix + `[0-9a-f]{8}`)

// hidesCommand reports whether a text in raw, in which shown has marks for
// secrets, could have a shell run what the marks hide: PASSWORD=x;reboot. A value
// that is hidden whole is no part of a command.
func hidesCommand(raw, shown any) bool {
	switch raw := raw.(type) {
	case map[string]any:
		m, _ := shown.(map[string]any)
		for key, value := range raw {
			if hidesCommand(value, m[key]) {
				return true
			}
		}
	case []any:
		list, _ := shown.([]any)
		for i, value := range raw {
			if i < len(list) && hidesCommand(value, list[i]) {
				return true
			}
		}
	case string:
		text, _ := shown.(string)
		return !isMark(text) && partRuns(inSight(raw), text)
	}
	return false
}

// partRuns reports whether what the marks in shown hide of raw could run.
func partRuns(raw, shown string) bool {
	kept := anyMark.Split(shown, -1)
	if len(kept) == 1 {
		return false
	}
	rest, found := strings.CutPrefix(raw, kept[0])
	for _, next := range kept[1:] {
		at := strings.Index(rest, next)
		if next == "" {
			at = len(rest)
		}
		if !found || at < 0 { // redaction has given it another form
			return runs(raw)
		}
		before := strings.TrimRight(raw[:len(raw)-len(rest)], " \t")
		substituted := strings.HasSuffix(before, "`") || strings.HasSuffix(before, "$(")
		if substituted || strings.HasSuffix(before, "=") && len(before) < len(raw)-len(rest) || runs(rest[:at]) {
			return true
		}
		rest = rest[at+len(next):]
	}
	return false
}

// runs reports whether a shell takes s for more than one word and its quotes.
func runs(s string) bool { return strings.ContainsAny(s, ";|&<>`\n") || strings.Contains(s, "$(") }
