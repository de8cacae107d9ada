// Package agent runs each Agent: it checks everything that the Agent refers to,
// renders it into one immutable ConfigMap per revision, and runs that as a
// Deployment. It refuses to run what it cannot check, to copy Secrets, to grant
// tools, to loosen the security of pods, and to take over what others made.
package agent

import (
	"context"
	"errors"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/apply"
	"github.com/toolcrib/toolcrib/controller/outcome"
	appsv1 "k8s.io/api/apps/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Reconciler reconciles Agents.
type Reconciler struct {
	client.Client
	fresh   client.Reader // past the cache
	status  outcome.Writer
	options Options
	grants  *grants
}

// work is one Agent on its way from what is declared to what runs.
type work struct {
	kagent.Agent               // as declared; Status is to be written
	before       *kagent.Agent // as it was when this began
	apply        apply.Applier

	declared   *kagent.Agent // normalised
	settings   settings      // of its pod
	references references
	unserved   []string // paths of what is admitted and not served
	overridden []string // paths of settings that restricted pod security overrides
	notes      []string // what could not be checked

	files      map[string]string
	revision   string
	reach      []string // URLs that the revision must reach
	deployment *appsv1.Deployment
	replicas   []appsv1.ReplicaSet // of the Deployment, newest first
	rolling    bool                // a rollout has just begun
	rolledBack string              // revision that somebody went back to
}

// Reconcile implements reconcile.Reconciler.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (result ctrl.Result, err error) {
	w := &work{}
	if err := r.Get(ctx, request.NamespacedName, &w.Agent); err != nil {
		if client.IgnoreNotFound(err) == nil {
			return ctrl.Result{}, r.sweep(ctx, request)
		}
		return ctrl.Result{}, err
	}
	if !w.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	w.before = w.Agent.DeepCopy()
	defer func() {
		err = errors.Join(err, r.status.Write(ctx, w.before, &w.Agent, w.before.Status.Conditions, w.Status.Conditions))
	}()
	w.declared, w.apply = w.Agent.DeepCopy(), apply.Applier{Client: r.Client, Fresh: r.fresh, Owner: &w.Agent}

	err = r.accept(ctx, w)
	r.reportAccepted(w, err)
	if err == nil {
		err = r.run(ctx, w)
	}
	err = outcome.Join(err, r.observe(ctx, w, err))
	return outcome.Result(err, resync)
}

// accept finds out what the Agent means, and everything that is wrong with it.
func (r *Reconciler) accept(ctx context.Context, w *work) error {
	return inOrder(ctx, w, r.normalise, r.resolve, r.render)
}

// run makes what serves the Agent.
func (r *Reconciler) run(ctx context.Context, w *work) error {
	return inOrder(ctx, w, r.keep, r.account, r.expose, r.roll, r.confine, r.bind, r.prune)
}

// observe says how it goes.
func (r *Reconciler) observe(ctx context.Context, w *work, err error) error {
	if errors.As(err, new(*outcome.Error)) || err == nil {
		return outcome.Join(r.reportRollout(ctx, w, err), r.reportGrants(ctx, w))
	}
	return nil
}

// inOrder takes the steps until one fails.
func inOrder(ctx context.Context, w *work, steps ...func(context.Context, *work) error) error {
	for _, step := range steps {
		if err := step(ctx, w); err != nil {
			return err
		}
	}
	return nil
}
