package prometheus

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// newParser accepts all that a Prometheus can be told to accept: what the one
// at hand does not, it says itself.
func newParser() parser.Parser {
	return parser.NewParser(parser.Options{
		EnableExperimentalFunctions:  true,
		ExperimentalDurationExpr:     true,
		EnableExtendedRangeSelectors: true,
		EnableBinopFillModifiers:     true,
	})
}

// maxExpression is the longest expression that is looked at, in bytes.
const maxExpression = 64 << 10

// parse reads a PromQL expression. Its error says where the expression is wrong
// and what may have been meant.
func (b *Backend) parse(expr string) (parser.Expr, error) {
	if len(expr) > maxExpression {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "the expression has %d bytes; write one of at most %d", len(expr), maxExpression)
	}
	parsed, err := b.parser.ParseExpr(expr)
	if err != nil {
		return nil, mcpkit.Wrap(mcpkit.Invalid, err, "not PromQL: %s%s", complaint(expr, err), hint(expr, err))
	}
	return parsed, nil
}

// complaint is the parser's error with the text it points at.
func complaint(expr string, err error) string {
	var all parser.ParseErrors
	if !errors.As(err, &all) || len(all) == 0 {
		return err.Error()
	}
	from, to := int(all[0].PositionRange.Start), int(all[0].PositionRange.End)
	if from < 0 || from >= to || to > len(expr) {
		return err.Error()
	}
	at := strings.ToValidUTF8(expr[from:min(to, from+60)], "")
	return fmt.Sprintf("%s, at %q", err, at)
}

// hint says what a wrong expression may have been meant to be.
func hint(expr string, err error) string {
	text := err.Error()
	switch {
	case strings.Contains(text, "unknown function with name"):
		_, name, _ := strings.Cut(text, `name "`)
		name, _, _ = strings.Cut(name, `"`)
		return nearest(name, slices.Sorted(maps.Keys(parser.Functions)))
	case strings.Contains(text, "expected type range vector"):
		return "; give the selector a range, such as [5m]"
	case strings.Contains(text, "expected type instant vector"), strings.Contains(text, "ranges only allowed for vector selectors"):
		return "; a range such as [5m] belongs inside a function such as rate(x[5m]), and one over a function's result is a subquery such as [1h:1m]"
	case strings.Contains(text, "at least one non-empty matcher"):
		return `; name a metric or one label, or select everything with {__name__=~".+"}`
	case strings.Contains(text, "unexpected end of input"):
		return "; a bracket or a quote is not closed, or an operand is missing"
	case strings.Contains(text, `unexpected "="`) || strings.Contains(text, `unexpected character after '!'`):
		return "; values compare with == and !=, labels match with =, !=, =~ and !~ inside {...}"
	case strings.ContainsAny(expr, "“”‘’"):
		return `; write plain quotes " or '`
	case strings.Contains(text, "in label matching, expected string"):
		return `; quote the value, as in {job="web"}`
	case strings.Contains(text, "in grouping opts"):
		return "; write the labels in brackets, as in by (job)"
	case strings.Contains(text, "unexpected character: '&'"), strings.Contains(text, "unexpected character: '|'"):
		return "; sets combine with and, or and unless"
	case strings.Contains(text, "unexpected identifier"):
		if near := nearest(lastWord(text), keywords()); near != "" && len(lastWord(text)) > 3 {
			return near
		}
		return "; two expressions need an operator between them"
	}
	return ""
}

func nearest(name string, known []string) string {
	if near := mcpkit.Nearest(name, known); len(near) > 0 {
		return "; the nearest names are " + strings.Join(near, ", ")
	}
	return ""
}

// lastWord is the word an error quotes last.
func lastWord(text string) string {
	parts := strings.Split(text, `"`)
	if len(parts) < 3 {
		return ""
	}
	return parts[len(parts)-2]
}

// keywords are the aggregations and operators that are words.
func keywords() []string {
	var out []string
	for _, k := range parser.Keywords() {
		out = append(out, strings.ToLower(k))
	}
	slices.Sort(out)
	return out
}
