package agenttrigger

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/ext"
	"github.com/toolcrib/toolcrib/controller/outcome"
)

const (
	// mostCost is what a filter may cost for one alert, in CEL's units: a
	// comparison of labels costs about ten.
	mostCost = 100_000
	// mostFilters is how many compiled filters are kept.
	mostFilters = 1024
)

// environment is what filters are written in: CEL with its strings extension and
// optional values, over alert.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	return cel.NewEnv(
		cel.OptionalTypes(),
		ext.Strings(),
		ext.NativeTypes(reflect.TypeFor[Alert](), ext.ParseStructTags(true)),
		cel.Variable("alert", cel.ObjectType("agenttrigger.Alert")),
	)
})

// filters compiles each filter once.
type filters struct {
	mu       sync.Mutex
	compiled map[string]cel.Program
}

// program is the compiled filter, nil for none. Its error says what is wrong
// with the filter, and in which column.
func (f *filters) program(expression string) (cel.Program, error) {
	if expression == "" {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.compiled[expression]; ok {
		return p, nil
	}
	p, err := compile(expression)
	if err != nil {
		return nil, err
	}
	if f.compiled == nil || len(f.compiled) >= mostFilters {
		f.compiled = map[string]cel.Program{}
	}
	f.compiled[expression] = p
	return p, nil
}

func compile(expression string) (cel.Program, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("prepare CEL: %w", err)
	}
	ast, issues := env.Compile(expression)
	if issues.Err() != nil {
		return nil, outcome.Stalled("InvalidFilter", "spec.filter: %s", explained(expression, issues))
	}
	if ast.OutputType() != cel.BoolType {
		return nil, outcome.Stalled("InvalidFilter", "spec.filter: it comes to a value of type %s; write a condition, such as alert.labels.severity == \"critical\"", ast.OutputType())
	}
	p, err := env.Program(ast, cel.CostLimit(mostCost), cel.InterruptCheckFrequency(100))
	if err != nil {
		return nil, outcome.Stalled("InvalidFilter", "spec.filter: %s", err)
	}
	return p, nil
}

// explained is what is wrong, with the place.
func explained(expression string, issues *cel.Issues) string {
	var out []string
	for _, e := range issues.Errors() {
		place := fmt.Sprintf("column %d", e.Location.Column()+1)
		if strings.Contains(expression, "\n") {
			place = fmt.Sprintf("line %d, %s", e.Location.Line(), place)
		}
		out = append(out, place+": "+e.Message)
	}
	return strings.Join(out, "; ")
}

// passes says whether the filter lets the alert through. A filter that cannot be
// evaluated, as for a label that the alert does not have, lets nothing through;
// the error says why.
func passes(ctx context.Context, p cel.Program, a Alert) (bool, error) {
	if p == nil {
		return true, nil
	}
	value, _, err := p.ContextEval(ctx, map[string]any{"alert": a})
	if err != nil {
		return false, err
	}
	ok, isBool := value.Value().(bool)
	if !isBool {
		return false, errors.New("it came to no condition")
	}
	return ok, nil
}
