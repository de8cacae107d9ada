package kubernetes

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Bounds of the logs a diagnosis shows.
const (
	tailRuns  = 12
	tailWidth = 240 // bytes of one line
)

// logEnd reads the last lines of a container's log, like lines folded.
func (d *diagnosis) logEnd(ctx context.Context, p *corev1.Pod, container string, previous bool) ([]string, error) {
	body, err := d.c.typed.CoreV1().Pods(p.Namespace).GetLogs(p.Name, &corev1.PodLogOptions{
		Container: container, Previous: previous, Timestamps: true, TailLines: new(int64(tailRuns * foldAhead)),
	}).Stream(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }()
	tail := newLogTail(tailRuns)
	if err := tail.readFrom(ctx, body, nil); err != nil {
		return nil, err
	}
	d.saw("logs", 1)
	var out []string
	for _, run := range tail.runs {
		line := abridge(strings.TrimSpace(run.last.text), tailWidth)
		if run.count > 1 {
			line += fmt.Sprintf(" (x%d)", run.count)
		}
		if line != "" {
			out = append(out, line)
		}
	}
	return out, nil
}

var telling = regexp.MustCompile(`(?i)\b(panic|fatal|error|err|exception|traceback|fail(ed|ure|s)?|cannot|can't|could not|unable|refused|denied|unauthorized|not found|no such|missing|invalid|undefined|out of memory|timed? ?out)\b`)

// tellingLine is the last line that names a failure, or else the last line.
func tellingLine(tail []string) string {
	for i := len(tail) - 1; i >= 0; i-- {
		if telling.MatchString(tail[i]) {
			return tail[i]
		}
	}
	return tail[len(tail)-1]
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
