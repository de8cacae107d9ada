package outcome

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// mostNote is what the API server admits in an event.
const mostNote = 1000

// announce makes an event of each condition that has become another.
func (w Writer) announce(object runtime.Object, before, after []metav1.Condition) {
	for _, c := range after {
		was := meta.FindStatusCondition(before, c.Type)
		if was != nil && was.Status == c.Status && was.Reason == c.Reason {
			continue
		}
		kind := corev1.EventTypeNormal
		if c.Status == metav1.ConditionFalse || c.Type == UnsupportedFeatures {
			kind = corev1.EventTypeWarning
		}
		w.Events.Eventf(object, nil, kind, c.Reason, c.Type, "%s", cut(c.Message, mostNote))
	}
}
