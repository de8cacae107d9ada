package outcome

import (
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SetUnsupported names the paths of fields that are admitted and not served, and
// what becomes of the object without them. There is no such condition if there
// are no such fields.
func SetUnsupported(conditions *[]metav1.Condition, generation int64, paths []string, becomes string) {
	if len(paths) == 0 {
		meta.RemoveStatusCondition(conditions, UnsupportedFeatures)
		return
	}
	message := "admitted and not served: " + strings.Join(paths, ", ")
	if becomes != "" {
		message += "; " + becomes
	}
	meta.SetStatusCondition(conditions, metav1.Condition{
		Type: UnsupportedFeatures, Status: metav1.ConditionTrue, ObservedGeneration: generation, Reason: "NotServed", Message: bounded(message),
	})
}
