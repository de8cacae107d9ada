package v1alpha2

import (
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/json"
)

// Open is a part of an object that Kubernetes' own types describe, such as a
// volume or a toleration. It is kept as it is written.
//
// +kubebuilder:validation:Type=object
// +kubebuilder:pruning:PreserveUnknownFields
type Open struct {
	runtime.RawExtension `json:",inline"`
}

// Decode reads the part into one of Kubernetes' types and refuses fields that
// the type does not have. An absent part leaves it as it is.
func (o Open) Decode(into any) error {
	if len(o.Raw) == 0 {
		return nil
	}
	unknown, err := json.UnmarshalStrict(o.Raw, into)
	if err != nil {
		return fmt.Errorf("read %T: %w", into, err)
	}
	if len(unknown) > 0 {
		return fmt.Errorf("read %T: %w", into, errors.Join(unknown...))
	}
	return nil
}

// Duration is a length of time as text, such as 30s or 1m30s.
//
// +kubebuilder:validation:MaxLength=64
// +kubebuilder:validation:XValidation:rule="self.matches('^([0-9]+([.][0-9]+)?(ns|us|ms|s|m|h))+$')",message="write a length of time such as 30s or 1m30s"
type Duration string

// Parse is the duration, 0 if it is absent.
func (d Duration) Parse() (time.Duration, error) {
	if d == "" {
		return 0, nil
	}
	return time.ParseDuration(string(d))
}

// LocalReference names an object of the same namespace.
type LocalReference struct {
	// Name is the object's name.
	//
	// +optional
	// +kubebuilder:default=""
	Name string `json:"name,omitempty"`
}

// AllowedNamespaces says from which namespaces an object may be referred to.
//
// +kubebuilder:validation:XValidation:rule="!(self.from == 'Selector' && !has(self.selector))",message="selector must be specified when from is Selector"
type AllowedNamespaces struct {
	// From is which namespaces: Same (the object's own), All, or those that
	// selector names.
	//
	// +optional
	// +kubebuilder:default=Same
	From FromNamespaces `json:"from,omitempty"`

	// Selector names namespaces by their labels, if from is Selector.
	//
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// FromNamespaces is a choice of namespaces.
//
// +kubebuilder:validation:Enum=All;Same;Selector
type FromNamespaces string

// The choices of namespaces.
const (
	NamespacesFromAll      FromNamespaces = "All"
	NamespacesFromSame     FromNamespaces = "Same"
	NamespacesFromSelector FromNamespaces = "Selector"
)

// ValueSource is one key of a ConfigMap or a Secret of the same namespace.
type ValueSource struct {
	// Type is the kind of object that holds the value: ConfigMap or Secret.
	//
	// +required
	Type ValueSourceType `json:"type"`

	// Name is the object's name, in the namespace of the object that refers to
	// it.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`

	// Key is the key whose value is taken.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	Key string `json:"key"`
}

// ValueSourceType is a kind of object that holds values.
//
// +kubebuilder:validation:Enum=ConfigMap;Secret
type ValueSourceType string

// The kinds of objects that hold values.
const (
	ConfigMapValueSource ValueSourceType = "ConfigMap"
	SecretValueSource    ValueSourceType = "Secret"
)

// ValueRef is a named value, written out or taken from a ConfigMap or a Secret.
//
// +kubebuilder:validation:XValidation:rule="(has(self.value) && !has(self.valueFrom)) || (!has(self.value) && has(self.valueFrom))",message="Exactly one of value or valueFrom must be specified"
type ValueRef struct {
	// Name is the value's name: of a header, the header's, such as
	// Authorization.
	//
	// +required
	Name string `json:"name"`

	// Value is the value itself. Whoever may read the object reads it: a
	// credential belongs into a Secret, by valueFrom.
	//
	// +optional
	Value *string `json:"value,omitempty"`

	// ValueFrom is where the value is.
	//
	// +optional
	ValueFrom *ValueSource `json:"valueFrom,omitempty"`
}

// TLSConfig says whom to trust on a connection.
//
// +kubebuilder:validation:XValidation:rule="!has(self.caCertSecretKey) || size(self.caCertSecretKey) == 0 || (has(self.caCertSecretRef) && size(self.caCertSecretRef) > 0)",message="caCertSecretKey requires caCertSecretRef"
// +kubebuilder:validation:XValidation:rule="!has(self.caCertSecretRef) || size(self.caCertSecretRef) == 0 || (has(self.caCertSecretKey) && size(self.caCertSecretKey) > 0)",message="caCertSecretRef requires caCertSecretKey"
// +kubebuilder:validation:XValidation:rule="!(has(self.disableSystemCAs) && self.disableSystemCAs) || (has(self.caCertSecretRef) && size(self.caCertSecretRef) > 0) || (has(self.disableVerify) && self.disableVerify)",message="disableSystemCAs requires caCertSecretRef or disableVerify (trust-nothing config rejects every upstream)"
type TLSConfig struct {
	// DisableVerify connects to whoever answers, whatever certificate it shows.
	// Whoever can get between reads all that is sent, credentials included:
	// only for trying out.
	//
	// +optional
	// +kubebuilder:default=false
	DisableVerify bool `json:"disableVerify,omitempty"`

	// CACertSecretRef is a Secret with the certificates, in PEM, of authorities
	// to trust, in the namespace of the agent that connects.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	CACertSecretRef string `json:"caCertSecretRef,omitempty"`

	// CACertSecretKey is the key in that Secret, such as ca.crt.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	CACertSecretKey string `json:"caCertSecretKey,omitempty"`

	// DisableSystemCAs trusts those authorities alone, not also the ones that
	// the system knows.
	//
	// +optional
	// +kubebuilder:default=false
	DisableSystemCAs bool `json:"disableSystemCAs,omitempty"`
}
