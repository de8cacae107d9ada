package apply

import (
	"reflect"

	"k8s.io/apimachinery/pkg/api/resource"
)

// covers says whether live has all that desired says. What desired leaves open
// may be anything, as the API server fills in defaults, but for lists, maps and
// switches, which it does not.
func covers(desired, live reflect.Value) bool {
	if q, ok := desired.Interface().(resource.Quantity); ok {
		return q.Cmp(live.Interface().(resource.Quantity)) == 0
	}
	switch desired.Kind() {
	case reflect.Pointer, reflect.Interface:
		if desired.IsNil() {
			return true
		}
		return !live.IsNil() && covers(desired.Elem(), live.Elem())
	case reflect.Struct:
		for i := range desired.NumField() {
			if desired.Type().Field(i).IsExported() && !covers(desired.Field(i), live.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if desired.Len() != live.Len() {
			return false
		}
		for i := range desired.Len() {
			if !covers(desired.Index(i), live.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Map:
		if desired.Len() != live.Len() {
			return false
		}
		for _, key := range desired.MapKeys() {
			if value := live.MapIndex(key); !value.IsValid() || !covers(desired.MapIndex(key), value) {
				return false
			}
		}
		return true
	case reflect.Bool:
		return desired.Bool() == live.Bool()
	default:
		return desired.IsZero() || desired.Interface() == live.Interface()
	}
}
