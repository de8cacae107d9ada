package kubernetes

import (
	"regexp"
	"strings"
	"time"
)

// logRun is a line, or a run of lines that say the same.
type logRun struct {
	first, last logLine
	count       int
	like        bool // the lines differ in counters, ids, times or durations
}

// bytes is about what the run takes in memory.
func (r logRun) bytes() int { return len(r.first.text) + len(r.last.text) + 96 }

func (r *logRun) extend(l logLine, equal bool) {
	r.count, r.last, r.like = r.count+1, l, r.like || !equal
}

// logTail keeps the newest runs of a log within bounds of lines and bytes.
type logTail struct {
	most     int
	runs     []logRun
	held     int   // bytes
	searched int64 // lines read
	entries  int64 // the same as the kubelet counts them, or more
	matched  int64
	whole    bool // everything there is was read
	lost     bool // runs were dropped to keep the bounds
	words    foldWords
}

func newLogTail(most int) *logTail { return &logTail{most: most} }

// add takes in the next line, folding it into the run before where it can.
func (t *logTail) add(l logLine) {
	t.matched++
	if n := len(t.runs); n > 0 && t.runs[n-1].last.text == l.text {
		t.runs[n-1].extend(l, true)
		return
	}
	words := foldable(l.text)
	same, equal := t.words.like(words)
	t.words = words
	if n := len(t.runs); n > 0 && same {
		t.held += len(l.text) - len(t.runs[n-1].last.text)
		t.runs[n-1].extend(l, equal)
		return
	}
	t.runs = append(t.runs, logRun{first: l, last: l, count: 1})
	t.held += t.runs[len(t.runs)-1].bytes()
	for len(t.runs) > t.most || t.held > logTailBytes && len(t.runs) > 1 {
		t.held -= t.runs[0].bytes()
		t.runs, t.lost = t.runs[1:], true
	}
}

// foldWords is a line in the form that is compared: its words, and the numbers
// and ids between them. Times are no part of it.
type foldWords struct {
	fixed  string
	values []string
}

// stamps are the times that programs put into their lines.
var stamps = regexp.MustCompile(`\d{4}[-/.]\d\d[-/.]\d\d[T _]\d\d:\d\d:\d\d([.,]\d+)?( ?(Z|[+-]\d\d:?\d\d))?|\b[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+|\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d( [+-]\d{4})?|\b\d\d:\d\d:\d\d([.,]\d+)?\b`)

// values are what differs between lines that say the same: ids of eight and
// more hexadecimal digits, and numbers with their fraction and unit of time.
var values = regexp.MustCompile(`\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8,}\b|\d+(\.\d+)?((ns|us|µs|ms|s|m|h)\b)?`)

// foldable breaks a line down for comparison.
func foldable(s string) foldWords {
	if !strings.ContainsAny(s, "0123456789") {
		return foldWords{fixed: s}
	}
	var w foldWords
	timeless := stamps.ReplaceAllStringFunc(s, func(at string) string { return "\x00" })
	w.fixed = values.ReplaceAllStringFunc(timeless, func(v string) string {
		w.values = append(w.values, v)
		return "\x01"
	})
	return w
}

// like reports whether the line after w says the same, and whether it is equal
// but for its time. Only what cannot be news may differ: an id, a duration, a
// number of five and more digits, a counter that went up by one. A status code
// or an exit code that differs is another line.
func (w foldWords) like(next foldWords) (same, equal bool) {
	if w.fixed != next.fixed || len(w.values) != len(next.values) {
		return false, false
	}
	equal = true
	for i, v := range w.values {
		n := next.values[i]
		if v == n {
			continue
		}
		equal = false
		if !volatile(v) || !volatile(n) {
			if !counts(v, n) {
				return false, false
			}
		}
	}
	return true, equal
}

const manyDigits = 5

// volatile reports whether a value is an id, a duration or a large number.
func volatile(v string) bool {
	digits := strings.TrimRight(v, "nuµmsh")
	return len(digits) >= manyDigits || len(digits) < len(v)
}

// counts reports whether next is one more than v.
func counts(v, next string) bool {
	if len(v) >= manyDigits || len(next) > manyDigits || strings.Contains(v+next, ".") {
		return false
	}
	a, b := 0, 0
	for _, c := range []byte(v) {
		a = a*10 + int(c-'0')
	}
	for _, c := range []byte(next) {
		b = b*10 + int(c-'0')
	}
	return b == a+1
}

// timed reports whether a line says its own time near its beginning.
func timed(text string) bool {
	loc := stamps.FindStringIndex(text)
	return loc != nil && loc[0] < 40
}

// clock is how times are written before lines: with the date only when the
// lines shown are of several days.
func clock(from, to time.Time) string {
	if from.Format(time.DateOnly) == to.Format(time.DateOnly) {
		return time.TimeOnly
	}
	return "01-02 15:04:05"
}
