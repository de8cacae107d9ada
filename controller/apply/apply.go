// Package apply makes objects of the cluster what they should be, and writes
// nothing where they are. It refuses to take over what somebody else made.
package apply

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/controller/labels"
	"github.com/toolcrib/toolcrib/controller/outcome"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// sets is an annotation with the keys of labels and annotations that we set, so
// that those can go again.
const sets = "toolcrib.dev/sets"

// Applier makes objects of one owner.
type Applier struct {
	Client client.Client
	Fresh  client.Reader // past the cache
	Owner  client.Object
}

// Apply makes or changes the object that desired describes. What desired leaves
// open stays as it is.
func (a Applier) Apply(ctx context.Context, desired client.Object) error {
	live := reflect.New(reflect.TypeOf(desired).Elem()).Interface().(client.Object)
	err := a.Client.Get(ctx, client.ObjectKeyFromObject(desired), live)
	remember(desired)
	switch {
	case apierrors.IsNotFound(err):
		return a.create(ctx, desired)
	case err != nil:
		return a.wrap("read", desired, err)
	case !a.Owns(live):
		return a.Taken(live)
	}
	if merged := merge(live, desired); merged != nil {
		return a.wrap("update", desired, a.Client.Update(ctx, merged))
	}
	return nil
}

func (a Applier) create(ctx context.Context, desired client.Object) error {
	err := a.Client.Create(ctx, desired.DeepCopyObject().(client.Object))
	if !apierrors.IsAlreadyExists(err) {
		return a.wrap("create", desired, err)
	}
	live := reflect.New(reflect.TypeOf(desired).Elem()).Interface().(client.Object)
	if err := a.Fresh.Get(ctx, client.ObjectKeyFromObject(desired), live); err != nil {
		return a.wrap("read", desired, err)
	}
	if !a.Owns(live) {
		return a.Taken(live)
	}
	return a.wrap("create", desired, err) // ours, but the cache does not know it yet
}

// Owns says whether the object was made for the owner. What has no namespace
// cannot say so by its owners, and says so by its labels.
func (a Applier) Owns(o client.Object) bool {
	if o.GetNamespace() == "" {
		return o.GetLabels()[labels.ManagedBy] == labels.Us
	}
	return metav1.IsControlledBy(o, a.Owner)
}

// Taken is the error for users that somebody else has the name.
func (a Applier) Taken(o client.Object) error {
	return outcome.Waiting(time.Minute, "NameTaken", "%s %q is there already and was not made for this agent; remove it, or give the agent another name", a.kind(o), o.GetName())
}

func (a Applier) wrap(verb string, o client.Object, err error) error {
	if err == nil {
		return nil
	}
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) {
		return outcome.Waiting(10*time.Minute, "Refused", "the API server refuses the agent's %s: %v", a.kind(o), err)
	}
	return fmt.Errorf("%s %s %s/%s: %w", verb, a.kind(o), o.GetNamespace(), o.GetName(), err)
}

func (a Applier) kind(o client.Object) string {
	gvk, err := apiutil.GVKForObject(o, a.Client.Scheme())
	if err != nil {
		return "object"
	}
	return gvk.Kind
}

// remember notes the keys that desired sets.
func remember(desired client.Object) {
	keys := slices.Concat(slices.Collect(maps.Keys(desired.GetAnnotations())), slices.Collect(maps.Keys(desired.GetLabels())))
	keys = slices.DeleteFunc(keys, func(key string) bool { _, ours := labels.OfAgent("")[key]; return ours || key == sets })
	if len(keys) == 0 {
		return
	}
	slices.Sort(keys)
	annotations := maps.Clone(desired.GetAnnotations())
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[sets] = strings.Join(slices.Compact(keys), " ")
	desired.SetAnnotations(annotations)
}

// merge is live made to be as desired, or nil if it is.
func merge(live, desired client.Object) client.Object {
	merged := live.DeepCopyObject().(client.Object)
	var gone []string
	for key := range strings.FieldsSeq(live.GetAnnotations()[sets]) {
		_, label := desired.GetLabels()[key]
		_, annotation := desired.GetAnnotations()[key]
		if !label && !annotation {
			gone = append(gone, key)
		}
	}
	if _, still := desired.GetAnnotations()[sets]; len(gone) > 0 && !still {
		gone = append(gone, sets)
	}
	merged.SetLabels(with(live.GetLabels(), desired.GetLabels(), gone))
	merged.SetAnnotations(with(live.GetAnnotations(), desired.GetAnnotations(), gone))
	same := maps.Equal(merged.GetLabels(), live.GetLabels()) && maps.Equal(merged.GetAnnotations(), live.GetAnnotations())
	into, from := reflect.ValueOf(merged).Elem(), reflect.ValueOf(desired).Elem()
	for i := range into.NumField() {
		switch into.Type().Field(i).Name {
		case "TypeMeta", "ObjectMeta", "Status":
			continue
		}
		if !covers(from.Field(i), into.Field(i)) {
			same = false
			into.Field(i).Set(from.Field(i))
		}
	}
	if same {
		return nil
	}
	return merged
}

func with(live, desired map[string]string, gone []string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, live)
	for _, key := range gone {
		delete(out, key)
	}
	maps.Copy(out, desired)
	return out
}
