package helm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/kube"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/cli-runtime/pkg/resource"
)

// writtenAtOnce is how many objects of one kind are created at the same time.
const writtenAtOnce = 8

// watched is Helm's client as a run uses it: it goes object by object, so that
// an error names one, notes what was done, tells the caller how far it is, and
// waits no longer than the run may.
type watched struct {
	*kube.Client
	r *run
}

// Create implements [kube.Interface]: kind after kind, as they are ordered.
func (w *watched) Create(resources kube.ResourceList) (*kube.Result, error) {
	var mu sync.Mutex
	done := 0
	for from := 0; from < len(resources); {
		to := from + 1
		for to < len(resources) && kindOf(resources[to]) == kindOf(resources[from]) {
			to++
		}
		var steps []func(context.Context) error
		for _, info := range resources[from:to] {
			steps = append(steps, func(context.Context) error {
				if _, err := w.Client.Create(kube.ResourceList{info}); err != nil {
					return w.refused("create", w.nameOf(info), err)
				}
				mu.Lock()
				defer mu.Unlock()
				done++
				w.r.made = append(w.r.made, "created "+w.nameOf(info))
				w.r.tell(done, len(resources), fmt.Sprintf("created %d of %d objects", done, len(resources)))
				return nil
			})
		}
		err := mcpkit.Together(w.r.work, writtenAtOnce, steps...)
		if apierrors.IsAlreadyExists(err) { // of a namespace or a CRD Helm takes it as it is
			return nil, err
		}
		if err != nil {
			return nil, w.fail(err)
		}
		from = to
	}
	return &kube.Result{Created: resources}, nil
}

// Update implements [kube.Interface]. It stops at the first object that is
// refused, and deletes nothing unless all others were written.
func (w *watched) Update(original, target kube.ResourceList, force bool) (*kube.Result, error) {
	result := &kube.Result{}
	for i, info := range target {
		was := original.Filter(kube.ResourceList{info}.Contains)
		did, err := w.Client.Update(was, kube.ResourceList{info}, force)
		if err != nil {
			return result, w.fail(w.refused("write", w.nameOf(info), restored(err)))
		}
		result.Created, result.Updated = append(result.Created, did.Created...), append(result.Updated, did.Updated...)
		verb := "changed "
		if len(did.Created) > 0 {
			verb = "created "
		}
		w.r.made = append(w.r.made, verb+w.nameOf(info))
		w.r.tell(i+1, len(target), fmt.Sprintf("wrote %d of %d objects", i+1, len(target)))
	}
	for _, info := range original.Difference(target) {
		did, err := w.Client.Update(kube.ResourceList{info}, nil, force)
		if err == nil {
			err = w.r.work.Err() // Helm passes over what it could not delete
		}
		if err != nil {
			return result, w.fail(w.refused("delete", w.nameOf(info), err))
		}
		if len(did.Deleted) > 0 {
			result.Deleted = append(result.Deleted, info)
			w.r.made = append(w.r.made, "deleted "+w.nameOf(info))
		}
	}
	return result, nil
}

// Delete implements [kube.Interface].
func (w *watched) Delete(resources kube.ResourceList) (*kube.Result, []error) {
	return w.DeleteWithPropagationPolicy(resources, metav1.DeletePropagationBackground)
}

// DeleteWithPropagationPolicy implements [kube.InterfaceDeletionPropagation].
func (w *watched) DeleteWithPropagationPolicy(resources kube.ResourceList, policy metav1.DeletionPropagation) (*kube.Result, []error) {
	result := &kube.Result{}
	var wrong []error
	for i, info := range resources {
		if _, err := read(info); apierrors.IsNotFound(err) {
			continue
		}
		if _, errs := w.Client.DeleteWithPropagationPolicy(kube.ResourceList{info}, policy); len(errs) > 0 {
			wrong = append(wrong, w.fail(w.refused("delete", w.nameOf(info), errors.Join(errs...))))
			continue
		}
		result.Deleted = append(result.Deleted, info)
		w.r.made = append(w.r.made, "deleted "+w.nameOf(info))
		w.r.tell(i+1, len(resources), fmt.Sprintf("deleted %d of %d objects", i+1, len(resources)))
	}
	if len(wrong) > 0 {
		return nil, wrong
	}
	return result, nil
}

func (w *watched) nameOf(info *resource.Info) string { return nameOf(info, w.r.w.Namespace) }

func (w *watched) refused(verb, object string, err error) error {
	return translate(err, verb+" "+object)
}

// fail remembers what went wrong first.
func (w *watched) fail(err error) error {
	w.r.trouble = cmp.Or(w.r.trouble, err)
	return err
}

// tell reports progress to the caller.
func (r *run) tell(done, total int, message string) {
	r.doing = message
	mcpkit.Progress(r.call, float64(done), float64(total), message)
}

// waitTick is the time between two looks at what is waited for.
const waitTick = time.Second

// until looks again and again until it is done, an error says that it never
// will be, or the run's time is over.
func (w *watched) until(look func(context.Context) (bool, error)) error {
	tick := time.NewTicker(waitTick)
	defer tick.Stop()
	for {
		done, err := look(w.r.work)
		if w.r.work.Err() != nil {
			return w.fail(w.r.stopped())
		}
		if done || err != nil {
			return w.fail(err)
		}
		select {
		case <-tick.C:
		case <-w.r.work.Done():
			return w.fail(w.r.stopped())
		}
	}
}

// passing reports whether an error of a look may be gone at the next.
func passing(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	code := status.Status().Code
	return code == 0 || code == 404 || code == 429 || code >= 500
}
