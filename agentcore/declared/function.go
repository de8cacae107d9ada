package declared

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// functionNames are the functions that system messages know: those of
// text/template that have a use in them, and include.
var functionNames = map[string]any{
	"include": true, "len": true, "index": true, "eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
	"and": true, "or": true, "not": true, "print": true, "printf": true, "println": true,
}

// truth is what counts as true in a condition.
func truth(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return v != ""
	case []string:
		return len(v) > 0
	case int:
		return v != 0
	}
	return v != nil
}

func (f *filling) call(name string, args []any) (any, error) {
	switch name {
	case "print":
		return fmt.Sprint(args...), nil
	case "println":
		return fmt.Sprintln(args...), nil
	}
	if len(args) == 0 {
		return nil, errors.New("it needs an argument")
	}
	switch name {
	case "include":
		return f.include(args)
	case "len":
		return length(args[0])
	case "index":
		return index(args)
	case "not":
		return !truth(args[0]), nil
	case "and", "or":
		for _, a := range args {
			if truth(a) == (name == "or") {
				return a, nil
			}
		}
		return args[len(args)-1], nil
	case "printf":
		format, ok := args[0].(string)
		if !ok {
			return nil, errors.New("its first argument is a text")
		}
		return fmt.Sprintf(format, args[1:]...), nil
	}
	return compare(name, args)
}

// include is a text, taken as it is.
func (f *filling) include(args []any) (any, error) {
	name, ok := args[0].(string)
	if !ok || len(args) > 1 {
		return nil, errors.New("it takes one text, such as \"ALIAS/KEY\"")
	}
	if text, ok := f.texts[name]; ok {
		return text, nil
	}
	return nil, fmt.Errorf("there is no text %q to include; there are %s", name, strings.Join(slices.Sorted(maps.Keys(f.texts)), ", "))
}

func length(of any) (any, error) {
	switch of := of.(type) {
	case string:
		return len(of), nil
	case []string:
		return len(of), nil
	}
	return nil, fmt.Errorf("%T has no length", of)
}

func index(args []any) (any, error) {
	list, ok := args[0].([]string)
	if !ok || len(args) != 2 {
		return nil, errors.New("it takes a list and a number")
	}
	i, ok := args[1].(int)
	if !ok || i < 0 || i >= len(list) {
		return nil, fmt.Errorf("there is no element %v among %d", args[1], len(list))
	}
	return list[i], nil
}

// compare is how one value stands to another; eq knows more than one other.
func compare(name string, args []any) (any, error) {
	if len(args) < 2 {
		return nil, errors.New("it needs two arguments")
	}
	if name == "eq" {
		for _, other := range args[1:] {
			if order, err := order(args[0], other); err != nil || order == 0 {
				return err == nil, err
			}
		}
		return false, nil
	}
	o, err := order(args[0], args[1])
	if err != nil || len(args) > 2 {
		return nil, errors.Join(err, errors.New("it takes two arguments of one kind"))
	}
	return map[string]bool{"ne": o != 0, "lt": o < 0, "le": o <= 0, "gt": o > 0, "ge": o >= 0}[name], nil
}

func order(a, b any) (int, error) {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b), nil
		}
	case int:
		if b, ok := b.(int); ok {
			return a - b, nil
		}
	case bool:
		if b, ok := b.(bool); ok {
			if a == b {
				return 0, nil
			}
			return 1, nil
		}
	}
	return 0, fmt.Errorf("%T and %T cannot be compared", a, b)
}
