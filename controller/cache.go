package controller

import (
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/labels"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// cacheOptions keep in memory what is looked at often, and of that no more than
// is looked at: of what everybody has, that which is ours; of runs and approvals
// not what they are about; of ConfigMaps and
// namespaces, the metadata; of Pods, how they are; of Secrets, nothing.
func cacheOptions(namespaces []string) cache.Options {
	ours := cache.ByObject{Label: labels.Ours()}
	o := cache.Options{
		ReaderFailOnMissingInformer: true, // or a read that nobody thought of fills the memory with a cluster
		DefaultTransform:            cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&appsv1.Deployment{}:          ours,
			&appsv1.ReplicaSet{}:          ours,
			&corev1.Pod{}:                 {Label: labels.Ours(), Transform: howPodsAre},
			&corev1.Service{}:             {Transform: whereServicesLead, Namespaces: map[string]cache.Config{cache.AllNamespaces: {}}},
			&corev1.ServiceAccount{}:      ours,
			&rbacv1.RoleBinding{}:         ours,
			&rbacv1.ClusterRoleBinding{}:  ours,
			&networkingv1.NetworkPolicy{}: ours,
			&v1alpha1.AgentRun{}:          {Transform: howRunsAre},
			&v1alpha1.Approval{}:          {Transform: howApprovalsAre},
			&discoveryv1.EndpointSlice{}: {Namespaces: map[string]cache.Config{
				metav1.NamespaceDefault: {LabelSelector: labels.OfService("kubernetes")},
			}},
		},
	}
	if len(namespaces) > 0 {
		o.DefaultNamespaces = map[string]cache.Config{}
		for _, name := range namespaces {
			o.DefaultNamespaces[name] = cache.Config{}
		}
	}
	return o
}

// howPodsAre drops what a pod is meant to be: of agents' pods only how they are
// is looked at.
func howPodsAre(object any) (any, error) {
	if pod, ok := object.(*corev1.Pod); ok {
		pod.ManagedFields, pod.Annotations, pod.Spec = nil, nil, corev1.PodSpec{}
	}
	return object, nil
}

// whereServicesLead drops what the API server writes for kube-proxy.
func whereServicesLead(object any) (any, error) {
	if service, ok := object.(*corev1.Service); ok {
		service.ManagedFields, service.Status = nil, corev1.ServiceStatus{}
	}
	return object, nil
}

// howRunsAre drops what was asked, done and answered, which can be megabytes.
func howRunsAre(object any) (any, error) {
	if run, ok := object.(*v1alpha1.AgentRun); ok {
		run.ManagedFields, run.Spec.Prompt, run.Spec.Data = nil, "", ""
		run.Status.Answer, run.Status.Events, run.Status.Approvals = "", nil, nil
	}
	return object, nil
}

// howApprovalsAre drops what is to be approved.
func howApprovalsAre(object any) (any, error) {
	if a, ok := object.(*v1alpha1.Approval); ok {
		a.ManagedFields, a.Spec.Arguments, a.Spec.Plan = nil, "", ""
	}
	return object, nil
}

// clientOptions read past the cache what must not be in it.
func clientOptions() client.Options {
	return client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}}
}
