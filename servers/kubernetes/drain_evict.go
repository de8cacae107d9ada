package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
)

const (
	drainTick     = time.Second // between two looks at who is left
	evictedAtOnce = 8           // requests in flight
	drainTimeout  = time.Hour   // unless the call or its caller allows less
)

type DrainNodeOut struct {
	Result string `json:"result"`
	mcpkit.Left
	StillThere []string `json:"still_there,omitempty" jsonschema:"pods left on the node and what they wait for"`
}

func (b *Backend) drain(ctx context.Context, in DrainNodeIn, p mcpkit.Plan) (DrainNodeOut, error) {
	d, ok := p.State.(*draining)
	if !ok {
		return DrainNodeOut{}, fmt.Errorf("the plan's state is a %T", p.State)
	}
	if d.cordon.changes() {
		if _, err := b.execute(ctx, *d.cordon); err != nil {
			return DrainNodeOut{}, err
		}
	}
	limit := drainTimeout
	if in.Timeout > 0 {
		limit = time.Duration(in.Timeout)
	}
	run, cancel := answerWithin(ctx, limit)
	defer cancel()
	err := d.empty(run)
	switch {
	case ctx.Err() != nil:
		return DrainNodeOut{}, mcpkit.Errorf(mcpkit.Unavailable, "the call ended early: %s", d.progress())
	case err != nil && run.Err() == nil:
		known, ok := errors.AsType[*mcpkit.Error](err)
		if !ok {
			return DrainNodeOut{}, err
		}
		return DrainNodeOut{}, mcpkit.Wrap(known.Kind, err, "%s\n%s", known.Text, d.progress())
	}
	return d.answer(p.Diff == ""), nil
}

// empty evicts and waits until no pod of the plan is left on the node.
func (d *draining) empty(ctx context.Context) error {
	tick := time.NewTicker(drainTick)
	defer tick.Stop()
	for !d.done() {
		if err := d.evictAll(ctx, false); err != nil {
			return err
		}
		if err := d.look(ctx); err != nil {
			return err
		}
		mcpkit.Progress(ctx, float64(d.count()), float64(len(d.pods)), d.progress())
		if d.done() {
			break
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// rehearse asks the API server, without consequences, which evictions it would
// let happen now. A pod that is gone by then is left out of the plan.
func (d *draining) rehearse(ctx context.Context) error {
	if err := d.evictAll(ctx, true); err != nil {
		return err
	}
	d.pods = slices.DeleteFunc(d.pods, func(l *leaver) bool { return l.gone })
	return nil
}

// evictAll asks every pod to leave that was not asked with success before.
func (d *draining) evictAll(ctx context.Context, rehearsal bool) error {
	var mu sync.Mutex
	var failed error
	var steps []func(context.Context) error
	for _, l := range d.pods {
		if l.asked || l.gone {
			continue
		}
		steps = append(steps, func(context.Context) error {
			err := d.evict(ctx, l, rehearsal)
			mu.Lock()
			defer mu.Unlock()
			failed = cmp.Or(failed, d.settle(l, err, rehearsal))
			return nil
		})
	}
	ended := mcpkit.Together(ctx, evictedAtOnce, steps...) // one pod that stays does not keep the others
	return cmp.Or(failed, ended)
}

// evict asks for one eviction, of that very pod: another that has got its name
// since, on whatever node, is not touched. It is not tried again here, where a
// disruption budget would make client-go sleep.
func (d *draining) evict(ctx context.Context, l *leaver, rehearsal bool) error {
	how := metav1.CreateOptions{FieldManager: fieldManager}
	if rehearsal { // in the address, where the API server's audit log shows it
		how.DryRun = []string{metav1.DryRunAll}
	}
	return d.c.typed.CoreV1().RESTClient().Post().Namespace(l.namespace).Resource("pods").Name(l.name).SubResource("eviction").
		MaxRetries(0).
		VersionedParams(&how, scheme.ParameterCodec).
		Body(&policyv1.Eviction{
			ObjectMeta:    metav1.ObjectMeta{Namespace: l.namespace, Name: l.name},
			DeleteOptions: &metav1.DeleteOptions{GracePeriodSeconds: d.in.GracePeriodSeconds, Preconditions: metav1.NewUIDPreconditions(string(l.uid))},
		}).
		Do(ctx).Error()
}

// settle notes what came of an eviction. It returns the errors that end a drain.
func (d *draining) settle(l *leaver, err error, rehearsal bool) error {
	switch {
	case err == nil:
		l.waits, l.asked = "", !rehearsal
	case apierrors.IsNotFound(err):
		l.gone = true
	case apierrors.IsTooManyRequests(err):
		l.waits = budget(err)
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		l.waits = "its namespace is being deleted"
	case apierrors.IsConflict(err): // it moved meanwhile, or another has its name; the next look tells
		l.waits = clientgo.Reason(err)
	case rehearsal && serverError(err):
		d.blocks = append(d.blocks, l.String()+": "+clientgo.Reason(err))
	case serverError(err):
		l.waits = clientgo.Reason(err)
	default:
		return translate(err, "evict "+named("pod", l.namespace, l.name))
	}
	return nil
}

// serverError reports a refusal of this one pod that is no fault of the call:
// two disruption budgets claim it, or a webhook fails.
func serverError(err error) bool {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && status.ErrStatus.Code == http.StatusInternalServerError
}

// budget is which disruption budget stands against an eviction, and why.
func budget(err error) string {
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if ok && status.ErrStatus.Details != nil {
		for _, c := range status.ErrStatus.Details.Causes {
			if c.Type == policyv1.DisruptionBudgetCause {
				return strings.TrimRight(strings.Replace(c.Message, "The disruption budget", "PodDisruptionBudget", 1), ".")
			}
		}
	}
	return clientgo.Reason(err)
}

// look finds out which pods are still on the node.
func (d *draining) look(ctx context.Context) error {
	pods, err := d.b.resolve(ctx, "pods")
	if err != nil {
		return err
	}
	there := map[types.UID]bool{}
	o := d.selection()
	for o.Limit = pageSize; ; {
		page, err := d.b.tablePage(ctx, pods, "", o, metav1.IncludeMetadata)
		if err != nil {
			return err
		}
		for _, row := range page.Rows {
			var m metav1.PartialObjectMetadata
			if err := json.Unmarshal(row.Object.Raw, &m); err != nil {
				return fmt.Errorf("read a pod of node %s: %w", d.in.Name, err)
			}
			there[m.UID] = true
		}
		if o.Continue = page.Continue; o.Continue == "" {
			break
		}
	}
	for _, l := range d.pods {
		l.gone = l.gone || !there[l.uid]
	}
	return nil
}

func (d *draining) count() int {
	n := 0
	for _, l := range d.pods {
		if l.gone {
			n++
		}
	}
	return n
}

func (d *draining) done() bool { return d.count() == len(d.pods) }

// left says of each pod that is still there what it waits for.
func (d *draining) left() []string {
	var out []string
	for _, l := range d.pods {
		switch {
		case l.gone:
		case l.waits != "":
			out = append(out, l.String()+": "+l.waits)
		case l.asked:
			out = append(out, l.String()+": evicted, still terminating")
		default:
			out = append(out, l.String()+": not evicted")
		}
	}
	return out
}

// progress says how far the drain came.
func (d *draining) progress() string {
	text := fmt.Sprintf("%d of %s left node %q, which stays cordoned", d.count(), counted(len(d.pods), "pod"), d.in.Name)
	if left := d.left(); len(left) > 0 {
		text += "; still there: " + strings.Join(firstLines(left, 5), ", ")
	}
	return text
}

func (d *draining) answer(nothing bool) DrainNodeOut {
	switch {
	case nothing:
		return DrainNodeOut{Result: fmt.Sprintf("nothing was written: node %q is cordoned already and has no pod that a drain evicts", d.in.Name)}
	case d.done():
		return DrainNodeOut{Result: fmt.Sprintf("drained: %s left node %q, which stays cordoned until k8s_uncordon_node", counted(len(d.pods), "pod"), d.in.Name)}
	}
	left := d.left()
	out := DrainNodeOut{
		Result:     fmt.Sprintf("not drained yet: %d of %s left node %q, which stays cordoned; call again to go on, or let pods back with k8s_uncordon_node", d.count(), counted(len(d.pods), "pod"), d.in.Name),
		StillThere: left,
	}
	if len(left) > podsShown {
		out.StillThere = left[:podsShown]
		out.Truncated, out.LeftOut = true, fmt.Sprintf("still_there: %d of %d pods shown; %s", podsShown, len(left), drainNode.Narrow)
	}
	return out
}
