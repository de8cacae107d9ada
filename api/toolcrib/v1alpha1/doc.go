// Package v1alpha1 holds Toolcrib's own kinds, toolcrib.dev/v1alpha1: what people
// decide about the writes of agents, and what agents are held to. It refuses to
// hold anything that another API already says.
//
// +kubebuilder:object:generate=true
// +groupName=toolcrib.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is what every kind of this package belongs to.
var GroupVersion = schema.GroupVersion{Group: "toolcrib.dev", Version: "v1alpha1"}

// AddToScheme makes the kinds known to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Approval{}, &ApprovalList{}, &AgentPolicy{}, &AgentPolicyList{},
		&AgentRun{}, &AgentRunList{}, &AgentTrigger{}, &AgentTriggerList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
