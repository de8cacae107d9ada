package mcpkit

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
)

// Kind classes an error by what its reader can do about it.
type Kind string

// The kinds of errors a tool may answer with.
const (
	NotFound    Kind = "not_found"   // the thing named is not there
	Invalid     Kind = "invalid"     // the arguments must change
	Denied      Kind = "denied"      // a person must grant something first
	Conflict    Kind = "conflict"    // the world moved; look again
	Unavailable Kind = "unavailable" // the backend does not answer
	TooLarge    Kind = "too_large"   // ask for less
)

// internal is the kind of an error nobody has classified.
const internal Kind = "internal"

// Error is an answer a model can act on. Text says what went wrong, on what,
// and what to try next; it never holds a secret. Err is for the log alone.
type Error struct {
	Kind Kind
	Text string
	Err  error
}

// Errorf returns an *Error of the given kind. A %w operand becomes its cause.
func Errorf(k Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: k, Text: err.Error(), Err: errors.Unwrap(err)}
}

// Wrap returns an *Error of the given kind with a text of its own: what err
// says is for the log.
func Wrap(k Kind, err error, format string, args ...any) *Error {
	return &Error{Kind: k, Text: fmt.Sprintf(format, args...), Err: err}
}

// Unreachable says what kept a request from a backend, such as "the API
// server", as an *Error of kind Unavailable. doing is what was asked of it,
// such as "list pods". What does not come from the network stays unclassified.
func Unreachable(err error, doing, backend string) error {
	var dns *net.DNSError
	var dial *net.OpError
	var request *url.Error
	switch {
	case errors.As(err, &dns):
		return Wrap(Unavailable, err, "cannot %s: %s's name %s does not resolve", doing, backend, dns.Name)
	case errors.As(err, &dial):
		return Wrap(Unavailable, err, "cannot %s: %s cannot be reached (%v)", doing, backend, dial.Err)
	case errors.As(err, &request):
		return Wrap(Unavailable, err, "cannot %s: %s cannot be reached (%v)", doing, backend, request.Err)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

func (e *Error) Error() string { return string(e.Kind) + ": " + e.Text }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// explain turns any error into the text a model reads. An error nobody has
// classified is named by the call's id alone; its cause belongs in the log.
func explain(err error, toolName, callID string) (Kind, string) {
	var known *Error
	switch {
	case errors.As(err, &known):
		return known.Kind, known.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return Unavailable, fmt.Sprintf("unavailable: %s was not done in time; ask for less, or try again", toolName)
	case errors.Is(err, context.Canceled):
		return Unavailable, fmt.Sprintf("unavailable: %s was cancelled by the caller", toolName)
	}
	return internal, fmt.Sprintf("internal: %s failed; see the server log, id %s", toolName, callID)
}

// Nearest returns the candidates closest in spelling to name, best first, at
// most three; none when nothing is close.
func Nearest(name string, candidates []string) []string {
	const longest = 253 // of any name a backend allows
	if name == "" || len(name) > longest {
		return nil
	}
	type scored struct {
		text     string
		distance int
	}
	var near []scored
	wanted, most := strings.ToLower(name), max(2, len(name)/3)
	for _, c := range candidates {
		lower := strings.ToLower(c)
		contains := c != "" && (strings.Contains(lower, wanted) || strings.Contains(wanted, lower))
		if !contains && (len(c) > len(name)+most || len(name) > len(c)+most) {
			continue
		}
		d := distance(wanted, lower)
		if contains {
			d = min(d, 2)
		}
		if d <= most {
			near = append(near, scored{c, d})
		}
	}
	slices.SortStableFunc(near, func(a, b scored) int { return a.distance - b.distance })
	var out []string
	for _, s := range near[:min(3, len(near))] {
		out = append(out, s.text)
	}
	return out
}

// distance is the Levenshtein distance between a and b in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(row[j]+1, row[j-1]+1, cost)
		}
	}
	return row[len(b)]
}
