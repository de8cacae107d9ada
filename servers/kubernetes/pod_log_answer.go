package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
)

// markedRun is a run with the source it came from.
type markedRun struct {
	logRun
	mark string
}

// answer merges what was read by time and keeps the newest.
func (r *logReading) answer(ctx context.Context) GetPodLogsOut {
	out := GetPodLogsOut{}
	var all []markedRun
	var matched int64
	for _, s := range r.sources {
		out.Sources = append(out.Sources, sourceName(s))
		out.Searched += s.tail.searched
		matched += s.tail.matched
		out.Truncated = out.Truncated || s.tail.lost || !s.tail.whole
		for _, run := range r.redacted(ctx, s) {
			all = append(all, markedRun{run, s.mark})
		}
	}
	slices.SortStableFunc(all, func(a, b markedRun) int { return a.last.at.Compare(b.last.at) })
	if len(all) > r.lines {
		all, out.Truncated = all[len(all)-r.lines:], true
	}
	if out.Truncated {
		out.LeftOut = getPodLogs.Narrow
	}
	if matched == 0 && len(r.sources) > 0 && (r.grep != nil || r.in.Since.IsZero()) {
		r.notes = append(r.notes, r.nothing(out.Searched))
	}
	out.Notes = append(r.states.lines(), r.notes...)
	out.write(all)
	return out
}

// nothing says what was looked through in vain.
func (r *logReading) nothing(searched int64) string {
	switch {
	case r.grep == nil:
		return "the log is empty"
	case r.in.Since.IsZero():
		return fmt.Sprintf("no line matches grep; %d lines searched", searched)
	}
	return fmt.Sprintf("no line since %s matches grep; %d lines searched", r.since(), searched)
}

func (r *logReading) since() string { return r.in.Since.Time(r.now).UTC().Format(time.RFC3339) }

func sourceName(s *logSource) string {
	name := s.pod.Name + "/" + s.container
	if s.mark != "" {
		return s.mark + " = " + name
	}
	return name
}

// redacted takes secrets out before lines get their times and marks, which
// would hide that they belong together.
func (r *logReading) redacted(ctx context.Context, s *logSource) []logRun {
	var lines []any
	for _, run := range s.tail.runs {
		lines = append(lines, run.first.text, run.last.text)
	}
	clean, _ := mcpkit.Redact(ctx, mcpkit.Object{"log": lines})["log"].([]any)
	for i := range s.tail.runs {
		s.tail.runs[i].first.text, _ = clean[2*i].(string)
		s.tail.runs[i].last.text, _ = clean[2*i+1].(string)
	}
	return s.tail.runs
}

// write sets out the runs as lines.
func (o *GetPodLogsOut) write(runs []markedRun) {
	if len(runs) == 0 {
		return
	}
	from, to := runs[0].first.at, runs[len(runs)-1].last.at
	for _, run := range runs {
		if run.first.at.Before(from) {
			from = run.first.at
		}
	}
	o.From, o.To = from.Format(time.RFC3339), to.Format(time.RFC3339)
	layout := clock(from, to)
	var b strings.Builder
	for _, run := range runs {
		switch {
		case run.count == 1:
			writeLine(&b, layout, run.mark, run.first, "")
		case !run.like:
			writeLine(&b, layout, run.mark, run.first, fmt.Sprintf(" (x%d, last %s)", run.count, run.last.at.Format(layout)))
		default:
			writeLine(&b, layout, run.mark, run.first, "")
			if run.count > 2 {
				fmt.Fprintf(&b, "… %d more like it, differing in ids, times or counters\n", run.count-2)
			}
			writeLine(&b, layout, run.mark, run.last, "")
		}
	}
	o.Log = strings.TrimRight(b.String(), "\n")
}

func writeLine(b *strings.Builder, layout, mark string, l logLine, after string) {
	if !l.at.IsZero() && !timed(l.text) {
		b.WriteString(l.at.Format(layout) + " ")
	}
	if mark != "" {
		b.WriteString("[" + mark + "] ")
	}
	b.WriteString(l.text + after + "\n")
}

// newest says what a container wrote last, when nothing is as new as was asked.
func (r *logReading) newest(ctx context.Context, c *clients, s *logSource) string {
	one := newLogTail(1)
	body, err := c.typed.CoreV1().Pods(s.pod.Namespace).GetLogs(s.pod.Name, &corev1.PodLogOptions{
		Container: s.container, Previous: r.in.Previous, Timestamps: true, TailLines: new(int64(1)),
	}).Stream(ctx)
	if err != nil {
		return ""
	}
	defer func() { _ = body.Close() }()
	if one.readFrom(ctx, body, nil) != nil || len(one.runs) == 0 {
		return fmt.Sprintf("%s/%s: the log is empty", s.pod.Name, s.container)
	}
	return fmt.Sprintf("%s/%s: nothing since %s, its last line is %s old", s.pod.Name, s.container, r.since(), age(one.runs[0].last.at, r.now))
}
