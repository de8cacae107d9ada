// Package v1alpha2 holds the kinds of kagent.dev/v1alpha2 that Toolcrib serves:
// Agent, ModelConfig and RemoteMCPServer, with every field that kagent's own
// kinds have, so that what is written for kagent is admitted here as it stands.
// Normalise folds the forms that people write into one; Unsupported names what
// is admitted and not served. It refuses to import the types of Kubernetes'
// workloads: those parts of an object are kept as they are written (Open), and
// whoever makes a Deployment of them decodes them, strictly.
//
// +kubebuilder:object:generate=true
// +groupName=kagent.dev
package v1alpha2

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is what every kind of this package belongs to.
var GroupVersion = schema.GroupVersion{Group: "kagent.dev", Version: "v1alpha2"}

// AddToScheme makes the kinds known to a scheme.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &Agent{}, &AgentList{}, &ModelConfig{}, &ModelConfigList{}, &RemoteMCPServer{}, &RemoteMCPServerList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
