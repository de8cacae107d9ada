package kubernetes

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// Bounds of the path to a field.
const (
	maxFieldPathBytes = 500
	maxListIndex      = 99
)

// fieldStep is one step on the way to a field: a key, or an item of a list.
type fieldStep struct {
	key   string
	item  bool
	index int // of the item; -1 for any
}

// parseFieldPath reads spec.containers[0].image, .spec.containers[].image and
// metadata.annotations['example.com/key'].
func parseFieldPath(s string) ([]fieldStep, error) {
	rest := strings.TrimPrefix(strings.TrimPrefix(strings.TrimSpace(s), "$"), ".")
	if len(s) > maxFieldPathBytes {
		return nil, badPath(s, "it is too long")
	}
	var steps []fieldStep
	for rest != "" {
		var step fieldStep
		var err error
		if step, rest, err = nextStep(rest); err != nil {
			return nil, badPath(s, err.Error())
		}
		steps = append(steps, step)
		if after, ok := strings.CutPrefix(rest, "."); ok {
			if after == "" {
				return nil, badPath(s, "it ends in a dot")
			}
			rest = after
		}
	}
	return steps, nil
}

func badPath(s, why string) error {
	return mcpkit.Errorf(mcpkit.Invalid, "%s is not a path to a field: %s; write it like spec.containers[0].image or metadata.labels['app.kubernetes.io/name']", shown(s), why)
}

func nextStep(s string) (fieldStep, string, error) {
	if s[0] != '[' {
		return nextKey(s)
	}
	for _, quote := range []string{"'", `"`} {
		if after, ok := strings.CutPrefix(s, "["+quote); ok {
			key, rest, ok := strings.Cut(after, quote+"]")
			if !ok || key == "" {
				return fieldStep{}, "", fmt.Errorf("a key in brackets is not closed")
			}
			return fieldStep{key: key}, rest, nil
		}
	}
	inside, rest, ok := strings.Cut(s[1:], "]")
	if !ok {
		return fieldStep{}, "", fmt.Errorf("a bracket is not closed")
	}
	if inside == "" || inside == "*" {
		return fieldStep{item: true, index: -1}, rest, nil
	}
	index, err := strconv.Atoi(inside)
	if err != nil || index < 0 || index > maxListIndex {
		return fieldStep{}, "", fmt.Errorf("%s is not an index from 0 to %d", shown(inside), maxListIndex)
	}
	return fieldStep{item: true, index: index}, rest, nil
}

// nextKey reads a key up to a dot or a bracket that no backslash precedes.
func nextKey(s string) (fieldStep, string, error) {
	var key strings.Builder
	i := 0
	for ; i < len(s) && s[i] != '.' && s[i] != '['; i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		key.WriteByte(s[i])
	}
	if key.Len() == 0 {
		return fieldStep{}, "", fmt.Errorf("a key is empty")
	}
	return fieldStep{key: key.String()}, s[i:], nil
}

// joined appends a key to a path in the form parseFieldPath reads.
func joined(path, key string) string {
	if strings.ContainsAny(key, `.[]'"\ `) || key == "" {
		quote := "'"
		if strings.Contains(key, "'") {
			quote = `"`
		}
		return path + "[" + quote + key + quote + "]"
	}
	if path == "" {
		return key
	}
	return path + "." + key
}
