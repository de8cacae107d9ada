package kubernetes

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	logLineRead  = 64 << 10 // of one line, what is searched
	logLineShown = 1 << 10  // of one line, what is shown
	logEntry     = 4 << 10  // container runtimes break longer lines, and the kubelet counts the parts
	logTailBytes = 64 << 10 // kept of one container
	foldAhead    = 20       // lines asked of the kubelet for each line to show, so that folding has something to fold
)

// logLine is one line of a log with the time the container runtime gave it.
type logLine struct {
	at   time.Time
	text string
}

// options ask the kubelet for no more than can be needed: a search needs all,
// the newest lines only the end.
func (r *logReading) options(s *logSource) *corev1.PodLogOptions {
	o := &corev1.PodLogOptions{Container: s.container, Previous: r.in.Previous, Timestamps: true}
	if !r.in.Since.IsZero() {
		o.SinceTime = new(metav1.NewTime(r.in.Since.Time(r.now)))
	}
	if r.grep == nil {
		o.TailLines = new(int64(r.lines * foldAhead))
	}
	return o
}

// stream reads one log, keeping its newest lines that match.
func (r *logReading) stream(ctx context.Context, c *clients, s *logSource, o *corev1.PodLogOptions) error {
	body, err := c.typed.CoreV1().Pods(s.pod.Namespace).GetLogs(s.pod.Name, o).Stream(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }()
	s.tail.whole = o.TailLines == nil
	if err := s.tail.readFrom(ctx, body, r.grep); err != nil {
		return err
	}
	if o.TailLines != nil {
		s.tail.whole = s.tail.entries < *o.TailLines
	}
	return nil
}

// readFrom takes in a log of any length, holding one line and the tail of it.
func (t *logTail) readFrom(ctx context.Context, r io.Reader, grep *regexp.Regexp) error {
	lines := bufio.NewReaderSize(r, logLineRead)
	for {
		raw, over, err := nextLine(lines)
		if len(raw) > 0 {
			t.searched++
			t.entries += 1 + int64((len(raw)+over)/logEntry)
			line := parseLogLine(raw)
			if over > 0 {
				line.text = strings.TrimRight(line.text, "\uFFFD")
			}
			if at, ok := t.visible(ctx, &line, grep, over); ok {
				line.text = shorten(line.text, at, over)
				t.add(line)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// visible reports whether a line matches and where. What is cut, or asked for
// by pattern, is matched without its secrets: a window must not show one without
// its key, and a pattern must not find out what one is.
func (t *logTail) visible(ctx context.Context, line *logLine, grep *regexp.Regexp, over int) (int, bool) {
	at, ok := match(grep, line.text)
	if !ok || grep == nil && len(line.text)+over <= logLineShown {
		return at, ok
	}
	line.text = withoutSecrets(ctx, line.text)
	return match(grep, line.text)
}

// nextLine reads a line, and how many bytes of it did not fit the buffer.
func nextLine(r *bufio.Reader) (line []byte, over int, err error) {
	line, err = r.ReadSlice('\n')
	if !errors.Is(err, bufio.ErrBufferFull) {
		return line, 0, err
	}
	line = bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		var rest []byte
		rest, err = r.ReadSlice('\n')
		over += len(rest)
	}
	return line, over, err
}

// parseLogLine splits off the kubelet's time and makes the rest plain text.
func parseLogLine(raw []byte) logLine {
	raw = bytes.TrimRight(raw, "\r\n")
	head, rest, _ := bytes.Cut(raw, []byte(" "))
	at, err := time.Parse(time.RFC3339Nano, string(head))
	if err != nil {
		return logLine{text: plain(raw)}
	}
	return logLine{at: at.UTC(), text: plain(rest)}
}

// escapes are terminal control sequences, which would split the words that a
// search looks for.
var escapes = regexp.MustCompile(`\x1b(\[[0-9;:<=>?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|[@-Z\\^_])`)

// plain turns what a program wrote into text.
func plain(raw []byte) string {
	if bytes.IndexByte(raw, 0x1b) >= 0 {
		raw = escapes.ReplaceAll(raw, nil)
	}
	odd := 0
	for rest := raw; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\t' && r != '\r' {
			odd++
		}
		rest = rest[n:]
	}
	if odd*4 > len(raw) {
		return "(binary data)"
	}
	if odd > 0 || bytes.IndexByte(raw, '\r') >= 0 {
		return strings.Map(func(r rune) rune {
			if r < ' ' && r != '\t' {
				return ' '
			}
			return r
		}, strings.ToValidUTF8(string(raw), "\uFFFD"))
	}
	return string(raw)
}

// match reports whether a line is wanted and where it says so.
func match(grep *regexp.Regexp, text string) (at int, ok bool) {
	if grep == nil {
		return 0, true
	}
	loc := grep.FindStringIndex(text)
	if loc == nil {
		return 0, false
	}
	return loc[0], true
}

// shorten cuts a long line around the place that matters, saying how much is missing.
func shorten(text string, at, over int) string {
	if len(text)+over <= logLineShown {
		return text
	}
	from := 0
	if at > logLineShown*3/4 {
		from = min(at-logLineShown/4, max(0, len(text)-logLineShown))
	}
	to := min(len(text), from+logLineShown)
	shown := strings.ToValidUTF8(text[from:to], "")
	if from > 0 {
		shown = fmt.Sprintf("(%d bytes before) …%s", from, shown)
	}
	if after := len(text) - to + over; after > 0 {
		shown += fmt.Sprintf("… (%d bytes more)", after)
	}
	return shown
}
