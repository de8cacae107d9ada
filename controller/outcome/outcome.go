// Package outcome says what comes of one reconcile: which conditions an object
// has, whether its status is written, and when it is looked at again. Errors
// are typed by what must happen next: a user must act, we wait for something
// named, or we try again. It refuses to write what is written already.
package outcome

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The conditions that several kinds have. The first two are kagent's.
const (
	Accepted            = "Accepted"
	Ready               = "Ready"
	UnsupportedFeatures = "UnsupportedFeatures"
)

// Error is why an object is not as it should be, in words for whoever reads its
// conditions.
type Error struct {
	Reason  string // of the condition, in CamelCase
	Message string
	// After is when to look again, though nothing that is watched has changed.
	// 0 is never: somebody must act, and that will be seen.
	After time.Duration
}

func (e *Error) Error() string { return e.Message }

// Stalled is an error that goes on until a user changes something that the
// controller watches.
func Stalled(reason, format string, args ...any) error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// Waiting is an error that may be over without anything changing that the
// controller watches, so that it looks again after about that time.
func Waiting(after time.Duration, reason, format string, args ...any) error {
	return &Error{Reason: reason, Message: fmt.Sprintf(format, args...), After: after}
}

// Result is what to tell the queue: an object is looked at again after resync
// at the latest, if resync is not 0; what is no Error is tried again soon, and
// less and less often.
func Result(err error, resync time.Duration) (ctrl.Result, error) {
	var e *Error
	if err != nil && !errors.As(err, &e) {
		return ctrl.Result{}, err
	}
	if e != nil && e.After > 0 && (resync == 0 || e.After < resync) {
		resync = e.After
	}
	return ctrl.Result{RequeueAfter: Jitter(resync)}, nil
}

// Jitter is d, give or take a tenth, so that what began together does not stay
// together.
func Jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(float64(d) * (0.9 + 0.2*rand.Float64()))
}

// Set sets the condition by an error: true with the reason and message given if
// there is none, false with the error's if there is one. What is no Error is
// ours to mend, and no news for users: the condition stays as it is, or is
// unknown if there was none.
func Set(conditions *[]metav1.Condition, generation int64, kind string, err error, reason, message string) {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionTrue, ObservedGeneration: generation, Reason: reason, Message: message}
	var e *Error
	switch {
	case errors.As(err, &e):
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, e.Reason, e.Message
	case err != nil && meta.FindStatusCondition(*conditions, kind) != nil:
		return
	case err != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, "Trying", "the controller could not find out yet and tries again; its log says why"
	}
	c.Message = bounded(c.Message)
	meta.SetStatusCondition(conditions, c)
}

// mostMessage is what the API server admits in a condition.
const mostMessage = 32768

func bounded(message string) string { return cut(message, mostMessage) }

func cut(message string, most int) string {
	const more = "... (more was left out)"
	if len(message) <= most {
		return message
	}
	end := most - len(more)
	for end > 0 && message[end]&0xC0 == 0x80 { // never within a character
		end--
	}
	return message[:end] + more
}

// Writer writes the status of objects, and an event of each fact that changes.
type Writer struct {
	Client client.Client
	Events events.EventRecorder
	ToldBy map[string]string // conditions whose change is told by that of another, if that changes at once
	// Exact refuses to tell news of an object that has changed since it was
	// read, for what is reconciled so often that a cache is behind at times:
	// it would be told twice. It is a conflict then, and looked at again.
	Exact bool
}

// Write writes the object's status if it differs from that of before. The
// conditions are those of both.
func (w Writer) Write(ctx context.Context, before, object client.Object, was, is []metav1.Condition) error {
	patch := client.MergeFrom(before)
	data, err := patch.Data(object)
	if err != nil {
		return fmt.Errorf("compare the status: %w", err)
	}
	if string(data) == "{}" {
		return nil
	}
	news := w.news(was, is)
	if w.Exact && len(news) > 0 {
		patch = client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
		if data, err = patch.Data(object); err != nil {
			return fmt.Errorf("compare the status: %w", err)
		}
	}
	if err := w.Client.Status().Patch(ctx, object, client.RawPatch(patch.Type(), data)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("write the status: %w", err))
	}
	w.announce(object, news)
	return nil
}
