package agent

import (
	"context"
	"fmt"
	"strings"

	"github.com/toolcrib/toolcrib/controller/labels"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
)

// reach is an annotation of a configuration: the URLs that its agent must reach.
const reach = "toolcrib.dev/reach"

// own has the object go with the Agent.
func (r *Reconciler) own(w *work, o client.Object) error {
	o.SetNamespace(w.Namespace)
	all := labels.OfAgent(w.Name)
	for key, value := range o.GetLabels() {
		if _, ours := all[key]; !ours {
			all[key] = value
		}
	}
	o.SetLabels(all)
	return controllerutil.SetControllerReference(&w.Agent, o, r.Scheme(), controllerutil.WithBlockOwnerDeletion(false))
}

// keep makes the ConfigMap of the revision. It never changes.
func (r *Reconciler) keep(ctx context.Context, w *work) error {
	m := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Name:        configurationName(w.Name, w.revision),
			Annotations: map[string]string{labels.Revision: w.revision, reach: strings.Join(w.reach, " ")},
		},
		Immutable: new(true),
		Data:      w.files,
	}
	if err := r.own(w, m); err != nil {
		return err
	}
	live, err := r.configuration(ctx, client.ObjectKeyFromObject(m))
	if apierrors.IsNotFound(err) {
		err := r.Create(ctx, m)
		if apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("create ConfigMap %s/%s: %w", m.Namespace, m.Name, err)
		}
		return err
	}
	if err == nil && !w.apply.Owns(live) {
		return w.apply.Taken(live)
	}
	return err
}

// configuration is what the cache knows of a ConfigMap: its metadata.
func (r *Reconciler) configuration(ctx context.Context, key client.ObjectKey) (*metav1.PartialObjectMetadata, error) {
	m := &metav1.PartialObjectMetadata{}
	m.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	return m, r.Get(ctx, key, m)
}

// prune removes the configurations that nothing can go back to.
func (r *Reconciler) prune(ctx context.Context, w *work) error {
	needed := map[string]bool{w.revision: true}
	var live appsv1.Deployment
	if err := r.Get(ctx, client.ObjectKeyFromObject(&w.Agent), &live); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the Deployment: %w", err)
	}
	needed[live.Spec.Template.Annotations[labels.Revision]] = true
	for _, s := range w.replicas {
		needed[s.Spec.Template.Annotations[labels.Revision]] = true
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	if err := r.List(ctx, list, client.InNamespace(w.Namespace), client.MatchingLabels(labels.OfAgent(w.Name))); err != nil {
		return fmt.Errorf("list the configurations: %w", err)
	}
	for _, m := range list.Items {
		if needed[m.Annotations[labels.Revision]] || !w.apply.Owns(&m) {
			continue
		}
		if err := r.Delete(ctx, &m, client.Preconditions{UID: &m.UID}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("remove ConfigMap %s/%s: %w", m.Namespace, m.Name, err)
		}
	}
	return nil
}
