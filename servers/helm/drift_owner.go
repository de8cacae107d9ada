package helm

import (
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// changedBy says who wrote the field of a drift and when, as far as the API
// server keeps it: "kubectl-edit at 2026-01-02T03:04:05Z".
func changedBy(entries []metav1.ManagedFieldsEntry, path []fieldStep) string {
	var owner *metav1.ManagedFieldsEntry
	deepest := 0
	for i := range entries {
		e := &entries[i]
		depth := owned(e, path)
		if depth > deepest || depth == deepest && depth > 0 && later(e, owner) {
			owner, deepest = e, depth
		}
	}
	if owner != nil && deepest == len(path) {
		return writer(owner)
	}
	// Who takes a field away leaves no mark on it.
	var last *metav1.ManagedFieldsEntry
	for i := range entries {
		if e := &entries[i]; e.Subresource != "status" && !isHelm(e.Manager) && (last == nil || later(e, last)) {
			last = e
		}
	}
	if last == nil {
		return "unknown"
	}
	return "perhaps " + writer(last)
}

func isHelm(manager string) bool { return strings.HasPrefix(manager, "helm") }

func writer(e *metav1.ManagedFieldsEntry) string {
	text := e.Manager
	if e.Subresource != "" {
		text += " (" + e.Subresource + ")"
	}
	if e.Time != nil {
		text += " at " + stamp(e.Time.Time)
	}
	return text
}

func later(a, b *metav1.ManagedFieldsEntry) bool {
	return b == nil || a.Time != nil && (b.Time == nil || b.Time.Before(a.Time))
}

// owned is how many steps of a path a writer owns. What it owns without going
// into it, it owns whole.
func owned(e *metav1.ManagedFieldsEntry, path []fieldStep) int {
	if e.FieldsV1 == nil || e.Subresource == "status" {
		return 0
	}
	raw := e.FieldsV1.GetRawBytes()
	for i, s := range path {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			return i
		}
		if len(fields) == 0 && i > 0 {
			return len(path)
		}
		next, ok := fields["f:"+s.key]
		if s.isItem {
			next, ok = item(fields, s)
		}
		if !ok {
			return i
		}
		raw = next
	}
	return len(path)
}

// item finds what a writer owns of an item of a list.
func item(fields map[string]json.RawMessage, s fieldStep) (json.RawMessage, bool) {
	for key, raw := range fields {
		var id map[string]any
		text, ok := strings.CutPrefix(key, "k:")
		if !ok || json.Unmarshal([]byte(text), &id) != nil {
			continue
		}
		same := len(s.identity) > 0
		for k, v := range s.identity {
			if other, there := id[k]; there && fmt.Sprint(other) != fmt.Sprint(v) {
				same = false
			}
		}
		if same {
			return raw, true
		}
	}
	return nil, false
}
