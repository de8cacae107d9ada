package mcpkit

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)
var plainText = regexp.MustCompile(`^[A-Za-z0-9_/.][A-Za-z0-9_/.:@=+-]*$`)

// otherThanText is what YAML may read as something else than the text it is.
var otherThanText = regexp.MustCompile(`(?i)^(true|false|yes|no|on|off|null)$`)

// FieldPath is the path of a key of the object at path: spec.replicas,
// metadata.labels[example.com/app].
func FieldPath(path, key string) string {
	switch {
	case !plainKey.MatchString(key):
		return path + "[" + strings.Trim(strconv.Quote(key), `"`) + "]"
	case path == "":
		return key
	}
	return path + "." + key
}

// Flow writes a value on one line, as YAML would.
func Flow(v any) string {
	switch v := v.(type) {
	case map[string]any:
		var parts []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			parts = append(parts, Flow(k)+": "+Flow(v[k]))
		}
		return "{" + strings.Join(parts, ", ") + "}"
	case []any:
		var parts []string
		for _, item := range v {
			parts = append(parts, Flow(item))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case string:
		if _, err := strconv.ParseFloat(v, 64); err != nil && plainText.MatchString(v) && !otherThanText.MatchString(v) {
			return v
		}
		return strconv.Quote(v)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(raw)
}

// Cut holds a value written on one line to a length that a line bears.
func Cut(s string) string {
	if len(s) <= 2*valueBytes {
		return s
	}
	return fmt.Sprintf("%s… (%d bytes)", strings.ToValidUTF8(s[:2*valueBytes], ""), len(s))
}
