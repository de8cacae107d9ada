package kubernetes

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// hurdle is one reason for which nodes do not take a pod. Nodes is zero where
// the reason is the pod's own and no node was tried.
type hurdle struct {
	nodes  int
	reason string
}

var (
	schedulerHead  = regexp.MustCompile(`^(\d+)/(\d+) nodes are available: `)
	hurdleCount    = regexp.MustCompile(`^(\d+) (.+)$`)
	schedulerFalse = regexp.MustCompile(`(\. not found)+$`)
)

// parseScheduling reads the scheduler's message: how many nodes there are and
// why they do not take the pod.
func parseScheduling(message string) (nodes int, hurdles []hurdle) {
	head := schedulerHead.FindStringSubmatch(message)
	if head == nil {
		if text := strings.TrimSpace(message); text != "" {
			hurdles = append(hurdles, hurdle{reason: strings.TrimSuffix(text, ".")})
		}
		return 0, hurdles
	}
	nodes, _ = strconv.Atoi(head[2]) // absurd numbers count as none
	body := message[len(head[0]):]
	for _, rest := range []string{" preemption: ", ", preemption: ", " no new claims to deallocate"} {
		body, _, _ = strings.Cut(body, rest)
	}
	body = schedulerFalse.ReplaceAllString(strings.TrimRight(strings.TrimSpace(body), ".,"), "")
	for _, part := range splitOutside(body) {
		part = strings.Trim(part, " .")
		switch m := hurdleCount.FindStringSubmatch(part); {
		case part == "":
		case m == nil:
			hurdles = append(hurdles, hurdle{reason: part})
		default:
			n, _ := strconv.Atoi(m[1]) // absurd numbers count as none
			hurdles = append(hurdles, hurdle{nodes: n, reason: m[2]})
		}
	}
	slices.SortStableFunc(hurdles, func(a, b hurdle) int { return b.nodes - a.nodes })
	return nodes, hurdles
}

// splitOutside splits at commas that stand outside braces and quotes.
func splitOutside(s string) []string {
	var out []string
	depth, quoted, start := 0, false, 0
	for i, r := range s {
		switch {
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '{' || r == '(' || r == '[':
			depth++
		case r == '}' || r == ')' || r == ']':
			depth--
		case r == ',' && depth <= 0:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

// schedulingCause is the scheduler's message without counts and names, so that
// pods held up by the same cause compare equal.
func schedulingCause(message string) string {
	_, hurdles := parseScheduling(message)
	var reasons []string
	for _, h := range hurdles {
		if r := plainHurdle(h.reason); !slices.Contains(reasons, r) {
			reasons = append(reasons, r)
		}
	}
	if len(reasons) == 0 {
		return "the scheduler gives no reason"
	}
	slices.Sort(reasons)
	return some(reasons, 4)
}

// plainHurdle puts the scheduler's reason in words that need no plural mark.
func plainHurdle(reason string) string {
	switch {
	case strings.HasPrefix(reason, "node(s) had untolerated taint"):
		return "taints it does not tolerate"
	case strings.HasPrefix(reason, "node(s) didn't match Pod's node affinity/selector"):
		return "no node matches its node selector or affinity"
	case strings.HasPrefix(reason, "node(s) were unschedulable"):
		return "cordoned nodes"
	case strings.HasPrefix(reason, "node(s) "):
		return strings.TrimPrefix(reason, "node(s) ")
	}
	return reason
}
