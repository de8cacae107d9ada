package helm

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/apimachinery/pkg/api/resource"
)

// drift is one field that is not as the release states it.
type drift struct {
	path         []fieldStep
	stated, live any // of the raw objects; nil if absent
}

// fieldStep is one step to a field: a key, or an item of a list, which may stand at
// another place in the live list.
type fieldStep struct {
	key            string
	name           string // of the item
	identity       map[string]any
	isItem         bool
	inStated, here int // the item's index on either side, -1 where it is not
}

// String is the path as the other diffs write it.
func (d drift) String() string {
	path := ""
	for _, s := range d.path {
		if s.isItem {
			path += "[" + s.name + "]"
		} else {
			path = mcpkit.FieldPath(path, s.key)
		}
	}
	return path
}

// drifts compares an object with what a release states of it: what the release
// does not state, such as defaults, is the cluster's own affair.
func drifts(stated, live map[string]any) []drift {
	var c comparison
	stated = settled(stated)
	for _, key := range slices.Sorted(maps.Keys(stated)) {
		switch key {
		case "apiVersion", "kind", "status":
		case "metadata":
			is, _ := live[key].(map[string]any)
			for _, part := range []string{"labels", "annotations"} {
				if want, ok := stated[key].(map[string]any)[part]; ok {
					c.field([]fieldStep{{key: key}, {key: part}}, want, is[part])
				}
			}
		default:
			c.field([]fieldStep{{key: key}}, stated[key], live[key])
		}
	}
	return c.found
}

// settled is what an API server makes of an object without being asked: a
// Secret's stringData becomes data.
func settled(o map[string]any) map[string]any {
	given, ok := o["stringData"].(map[string]any)
	if o["kind"] != "Secret" || !ok {
		return o
	}
	out := maps.Clone(o)
	data, _ := out["data"].(map[string]any)
	if data = maps.Clone(data); data == nil {
		data = map[string]any{}
	}
	for k, v := range given {
		data[k] = base64.StdEncoding.EncodeToString([]byte(fmt.Sprint(v)))
	}
	delete(out, "stringData")
	out["data"] = data
	return out
}

type comparison struct{ found []drift }

func (c *comparison) add(path []fieldStep, stated, live any) {
	c.found = append(c.found, drift{slices.Clone(path), stated, live})
}

func (c *comparison) field(path []fieldStep, stated, live any) {
	switch want := stated.(type) {
	case map[string]any:
		is, ok := live.(map[string]any)
		if !ok && (live != nil || !empty(stated)) {
			c.add(path, stated, live)
			return
		}
		for _, key := range slices.Sorted(maps.Keys(want)) {
			c.field(append(path, fieldStep{key: key}), want[key], is[key])
		}
		if len(path) == 1 && (path[0].key == "data" || path[0].key == "binaryData") && len(want) > 0 {
			for _, key := range slices.Sorted(maps.Keys(is)) {
				if _, ok := want[key]; !ok {
					c.add(append(path, fieldStep{key: key}), nil, is[key])
				}
			}
		}
	case []any:
		is, ok := live.([]any)
		if !ok && (live != nil || !empty(stated)) {
			c.add(path, stated, live)
			return
		}
		c.list(path, want, is)
	default:
		if !equivalent(path, stated, live) {
			c.add(path, stated, live)
		}
	}
}

// list compares lists of objects item by item, others as a whole.
func (c *comparison) list(path []fieldStep, want, is []any) {
	key := tellingApart(want, is)
	if key == nil {
		if len(want) != len(is) || !allMaps(want) || !allMaps(is) {
			if !slices.EqualFunc(want, is, func(a, b any) bool { return equivalent(path, a, b) }) {
				c.add(path, want, is)
			}
			return
		}
		for i := range want {
			c.field(append(path, fieldStep{isItem: true, name: fmt.Sprint(i), inStated: i, here: i}), want[i], is[i])
		}
		return
	}
	matched := map[int]bool{}
	for i, item := range want {
		at := slices.IndexFunc(is, func(other any) bool { return sameItem(item, other, key) })
		matched[at] = true
		s := itemStep(item, key, i, at)
		if at < 0 {
			c.add(append(path, s), item, nil)
			continue
		}
		c.field(append(path, s), item, is[at])
	}
	for i, item := range is {
		if !matched[i] && !injected(item) {
			c.add(append(path, itemStep(item, key, -1, i)), nil, item)
		}
	}
}

func itemStep(item any, key []string, inStated, here int) fieldStep {
	m := item.(map[string]any)
	s := fieldStep{isItem: true, inStated: inStated, here: here, identity: map[string]any{}}
	var parts []string
	for _, k := range key {
		if v, ok := m[k]; ok {
			s.identity[k] = v
			parts = append(parts, fmt.Sprint(v))
		}
	}
	s.name = strings.Join(parts, "/")
	return s
}

// identities are the fields by which the API server's types tell the items of
// their lists apart.
var identities = [][]string{{"name"}, {"containerPort", "protocol"}, {"port", "protocol"}, {"mountPath"}, {"devicePath"}, {"key", "operator", "effect"}, {"topologyKey", "whenUnsatisfiable"}, {"type"}, {"ip"}, {"uid"}}

// tellingApart finds by what the items of both lists can be told apart, nil if by
// nothing. A field that is absent has its default.
func tellingApart(lists ...[]any) []string {
	for _, key := range identities {
		ok := true
		for _, list := range lists {
			seen := map[string]bool{}
			for _, item := range list {
				m, isMap := item.(map[string]any)
				if !isMap || m[key[0]] == nil {
					ok = false
					break
				}
				seen[itemID(m, key)] = true
			}
			ok = ok && len(seen) == len(list)
		}
		if ok && len(lists[0]) > 0 {
			return key
		}
	}
	return nil
}

func itemID(m map[string]any, key []string) string {
	var parts []string
	for _, k := range key {
		v := m[k]
		if v == nil && k == "protocol" {
			v = "TCP"
		}
		parts = append(parts, fmt.Sprint(v))
	}
	return strings.Join(parts, "/")
}

func sameItem(a, b any, key []string) bool {
	x, _ := a.(map[string]any)
	y, _ := b.(map[string]any)
	return itemID(x, key) == itemID(y, key)
}

func allMaps(list []any) bool {
	return !slices.ContainsFunc(list, func(v any) bool { _, ok := v.(map[string]any); return !ok })
}

// injected reports what admission adds to every pod.
func injected(item any) bool {
	m, _ := item.(map[string]any)
	name, _ := m["name"].(string)
	key, _ := m["key"].(string)
	return strings.HasPrefix(name, "kube-api-access-") || strings.HasPrefix(key, "node.kubernetes.io/")
}

// equivalent reports whether two values mean the same to the API server: absent and
// empty, 1 and 1.0, "1000m" and 1.
func equivalent(path []fieldStep, a, b any) bool {
	if reflect.DeepEqual(a, b) || empty(a) && (b == nil || empty(b)) || fmt.Sprint(a) == fmt.Sprint(b) && a != nil && b != nil {
		return true
	}
	last := path[len(path)-1].key
	if last == "caBundle" && empty(a) {
		return true // left for an injector to fill
	}
	switch path[0].key {
	case "metadata":
		return false
	case "data", "binaryData":
		x, okX := a.(string)
		y, okY := b.(string)
		return okX && okY && strings.Join(strings.Fields(x), "") == y // base64 may be wrapped
	}
	x, okX := quantity(a)
	y, okY := quantity(b)
	return okX && okY && x.Cmp(y) == 0
}

func empty(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case map[string]any:
		return !slices.ContainsFunc(slices.Collect(maps.Values(v)), func(v any) bool { return !empty(v) })
	case []any:
		return len(v) == 0
	}
	return reflect.ValueOf(v).IsZero()
}

func quantity(v any) (resource.Quantity, bool) {
	switch v := v.(type) {
	case string:
		const longest = 40 // of a quantity anybody writes
		if len(v) > longest {
			return resource.Quantity{}, false
		}
		q, err := resource.ParseQuantity(v)
		return q, err == nil
	case int64:
		return *resource.NewQuantity(v, resource.DecimalSI), true
	case float64:
		if math.Abs(v) < 1<<53 {
			return *resource.NewMilliQuantity(int64(math.Round(v*1000)), resource.DecimalSI), true
		}
	}
	return resource.Quantity{}, false
}
