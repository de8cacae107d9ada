package outcome

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// mostNote is what the API server admits in an event.
const mostNote = 1000

// Reasons of conditions that are false and need nobody's attention.
const (
	// RollingOut is that what was declared is on its way.
	RollingOut = "RollingOut"
	// Suspended is that somebody wants the object to rest.
	Suspended = "Suspended"
)

// news are the conditions that tell the facts that have changed. A fact that
// several conditions tell is told once.
func (w Writer) news(before, after []metav1.Condition) []metav1.Condition {
	changed := map[string]bool{}
	for _, c := range after {
		was := meta.FindStatusCondition(before, c.Type)
		changed[c.Type] = c.Status != metav1.ConditionUnknown && (was == nil || was.Status != c.Status || was.Reason != c.Reason)
	}
	var news []metav1.Condition
	told := map[string]bool{} // reasons
	for _, c := range after {
		if !changed[c.Type] || told[c.Reason] || changed[w.ToldBy[c.Type]] {
			continue
		}
		told[c.Reason] = true
		news = append(news, c)
	}
	return news
}

// announce makes an event of each.
func (w Writer) announce(object runtime.Object, news []metav1.Condition) {
	for _, c := range news {
		w.Events.Eventf(object, nil, importance(c), c.Reason, c.Type, "%s", cut(c.Message, mostNote))
	}
}

// importance is a warning where somebody has to look.
func importance(c metav1.Condition) string {
	if c.Type == UnsupportedFeatures || c.Status == metav1.ConditionFalse && c.Reason != RollingOut && c.Reason != Suspended {
		return corev1.EventTypeWarning
	}
	return corev1.EventTypeNormal
}
