package agent

import (
	"context"
	"fmt"
	"maps"

	"github.com/toolcrib/toolcrib/controller/labels"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// bindingPrefix begins the names of agents' ClusterRoleBindings; the namespace
// and name of the agent follow.
const bindingPrefix = "toolcrib:agent:"

// account makes the ServiceAccount, unless the Agent names one that is there.
func (r *Reconciler) account(ctx context.Context, w *work) error {
	if serviceAccount(w) != w.Name {
		return nil
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: w.Name}}
	if c := w.settings.ServiceAccountConfig; c != nil {
		account.Labels, account.Annotations = maps.Clone(c.Labels), maps.Clone(c.Annotations)
	}
	if err := r.own(w, account); err != nil {
		return err
	}
	return w.apply.Apply(ctx, account)
}

// bind binds the ServiceAccounts of all pods that there are to what agents may
// do: with their own runs, and to know who asks them.
func (r *Reconciler) bind(ctx context.Context, w *work) error {
	var subjects []rbacv1.Subject
	_, accounts := w.active()
	for _, name := range accounts {
		subjects = append(subjects, rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Namespace: w.Namespace, Name: name})
	}
	roleRef := func(name string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name}
	}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Name: w.Name}, RoleRef: roleRef(Role), Subjects: subjects}
	if err := r.own(w, binding); err != nil {
		return err
	}
	if err := w.apply.Apply(ctx, binding); err != nil {
		return err
	}
	// No owner is possible: sweep removes it.
	return w.apply.Apply(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: bindingName(w.Namespace, w.Name), Labels: labels.OfAgent(w.Name)},
		RoleRef:    roleRef(ReviewsRole),
		Subjects:   subjects,
	})
}

func bindingName(namespace, name string) string { return bindingPrefix + namespace + ":" + name }

// sweep removes what an Agent that is gone leaves behind: all else goes with
// its owner. It is also called for each binding that is there at the start.
func (r *Reconciler) sweep(ctx context.Context, request ctrl.Request) error {
	binding := &rbacv1.ClusterRoleBinding{}
	err := r.Get(ctx, client.ObjectKey{Name: bindingName(request.Namespace, request.Name)}, binding)
	if err != nil {
		return client.IgnoreNotFound(err)
	}
	if err := r.Delete(ctx, binding, client.Preconditions{UID: &binding.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("remove ClusterRoleBinding %s: %w", binding.Name, err)
	}
	return nil
}

// expose makes the Service that the agent is asked at.
func (r *Reconciler) expose(ctx context.Context, w *work) error {
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: w.Name},
		Spec: corev1.ServiceSpec{
			Selector: map[string]string{labels.Agent: w.Name, labels.ManagedBy: labels.Us},
			Ports: []corev1.ServicePort{
				{Name: "http", Port: port, TargetPort: intstr.FromString("http"), Protocol: corev1.ProtocolTCP},
				{Name: "metrics", Port: metricsPort, TargetPort: intstr.FromString("metrics"), Protocol: corev1.ProtocolTCP},
			},
		},
	}
	if err := r.own(w, service); err != nil {
		return err
	}
	var live corev1.Service
	if err := r.Get(ctx, client.ObjectKeyFromObject(service), &live); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read the Service: %w", err)
	}
	service.Spec.ClusterIPs, service.Spec.IPFamilies = live.Spec.ClusterIPs, live.Spec.IPFamilies // the API server's choice
	service.Spec.ClusterIP = live.Spec.ClusterIP
	return w.apply.Apply(ctx, service)
}
