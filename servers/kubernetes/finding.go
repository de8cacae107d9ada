package kubernetes

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// Severities of findings, worst first.
const (
	critical = "critical" // it does not work
	warning  = "warning"  // it works less well, or will stop
	info     = "info"     // worth knowing, nothing wrong
)

// Finding is one fact about what is wrong, with what it rests on.
type Finding struct {
	Severity string   `json:"severity" jsonschema:"critical: does not work; warning: works less well or will stop; info: worth knowing"`
	What     string   `json:"what"`
	Evidence []string `json:"evidence,omitempty"`
	Next     string   `json:"next,omitempty" jsonschema:"what settles it, or where to look closer"`

	cause string // short, and the same wherever the cause is the same
}

// severityRank orders severities, worst first.
func severityRank(s string) int { return slices.Index([]string{critical, warning, info}, s) }

// worstFirst orders findings by severity, those of one severity as found.
func worstFirst(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Compare(severityRank(a.Severity), severityRank(b.Severity))
	})
}

// worst is the severity of the worst finding; info when there is none.
func worst(findings []Finding) string {
	out := info
	for _, f := range findings {
		if severityRank(f.Severity) < severityRank(out) {
			out = f.Severity
		}
	}
	return out
}

// plural writes "1 pod", "3 pods" and "2 policies".
func plural(n int, one string) string {
	switch {
	case n == 1:
		return "1 " + one
	case strings.HasSuffix(one, "y"):
		return strconv.Itoa(n) + " " + strings.TrimSuffix(one, "y") + "ies"
	case strings.HasSuffix(one, "s"):
		return strconv.Itoa(n) + " " + one + "es"
	}
	return strconv.Itoa(n) + " " + one + "s"
}
