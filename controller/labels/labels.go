// Package labels holds the labels and annotations by which the controller knows
// what it made and what others tell it. It refuses to know any object.
package labels

import (
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// The labels of everything that the controller makes.
const (
	Name      = "app.kubernetes.io/name"
	Instance  = "app.kubernetes.io/instance"
	ManagedBy = "app.kubernetes.io/managed-by"
	Agent     = "toolcrib.dev/agent" // name of the Agent that the object is for
)

// The annotations that the controller reads or writes.
const (
	// Revision of the configuration that a pod serves.
	Revision = "toolcrib.dev/revision"
	// Pod of a rendered Agent: a hash of the template of its pods.
	Pod = "toolcrib.dev/pod"
	// Audience that a tool server wants in the tokens of its callers.
	Audience = "toolcrib.dev/audience"
	// Access of a tool server: write if agents may leave it to the server to have a
	// person decide about writes.
	Access = "toolcrib.dev/access"
)

// Us is the value of ManagedBy.
const Us = "toolcrib"

// OfAgent are the labels of what the controller makes for an Agent.
func OfAgent(name string) map[string]string {
	return map[string]string{Name: "agent", Instance: name, ManagedBy: Us, Agent: name}
}

// Ours selects everything that the controller makes.
func Ours() labels.Selector { return labels.SelectorFromSet(labels.Set{ManagedBy: Us}) }

// OfService selects the EndpointSlices of a Service.
func OfService(name string) labels.Selector {
	return labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: name})
}
