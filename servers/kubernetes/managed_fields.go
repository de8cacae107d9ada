package kubernetes

import (
	"encoding/json"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Managed fields say who wrote what of an object, and when each writer last
// changed anything. They do not say what the last change was.

// lastEdit is the newest write to an object that was not of its status, nil
// when the API server keeps no record of it.
func lastEdit(entries []metav1.ManagedFieldsEntry) *metav1.ManagedFieldsEntry {
	var last *metav1.ManagedFieldsEntry
	for i := range entries {
		e := &entries[i]
		if e.Time == nil || e.Subresource == "status" {
			continue
		}
		if last == nil || last.Time.Before(e.Time) {
			last = e
		}
	}
	return last
}

// lastWriter is the newest write among those that own a field, such as
// "f:spec", "f:template"; nil when nobody does.
func lastWriter(entries []metav1.ManagedFieldsEntry, path ...string) *metav1.ManagedFieldsEntry {
	var owning []metav1.ManagedFieldsEntry
	for _, e := range entries {
		if owns(e, path...) {
			owning = append(owning, e)
		}
	}
	return lastEdit(owning)
}

// fieldOwner is who owns a field, whether or not it is recorded when it was
// written, which of scaling it is not; nil when nobody does, as of replicas
// scaled to 0.
func fieldOwner(entries []metav1.ManagedFieldsEntry, path ...string) *metav1.ManagedFieldsEntry {
	if e := lastWriter(entries, path...); e != nil {
		return e
	}
	for i := range entries {
		if owns(entries[i], path...) {
			return &entries[i]
		}
	}
	return nil
}

// owns reports whether a writer owns the field at a path.
func owns(e metav1.ManagedFieldsEntry, path ...string) bool {
	if e.FieldsV1 == nil {
		return false
	}
	raw := e.FieldsV1.GetRawBytes()
	for _, key := range path {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			return false
		}
		next, ok := fields[key]
		if !ok {
			return false
		}
		raw = next
	}
	return true
}

// writer names who made a write: "kubectl-set", "kube-controller-manager (scale)".
func writer(e *metav1.ManagedFieldsEntry) string {
	switch {
	case e == nil:
		return "unknown"
	case e.Subresource != "":
		return e.Manager + " (" + e.Subresource + ")"
	}
	return e.Manager
}

// near reports whether two moments are one to a clock of whole seconds.
func near(a, b time.Time) bool { return a.Sub(b).Abs() <= 5*time.Second }
