package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Tool is the resource by which callers are granted the tools of the servers in
// a namespace: whoever holds the verb call on it may call them, or those that
// resourceNames lists; whoever holds the verb list sees all in the servers'
// lists, and may call none of them for it. Tool servers ask for it by name and never look for an
// object, and none can be made: the type is there because kubectl auth can-i
// knows no resource that the API server does not serve.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:validation:XValidation:rule="false",message="tools are granted by name and never made: bind callers to a role with the verb call on tools.toolcrib.dev, with resourceNames for single tools"
type Tool struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
}
