package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Agent is somebody to ask: a model, what it is told to be, and the tools it
// may use.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=agents,categories=kagent;toolcrib
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name=Type,type=string,JSONPath=`.spec.type`,description="Declarative, or BYO"
// +kubebuilder:printcolumn:name=Model,type=string,JSONPath=`.spec.declarative.modelConfig`,description="The ModelConfig it thinks with"
// +kubebuilder:printcolumn:name=Accepted,type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`,description="Whether all that it names is there and fits"
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether it can be asked"
// +kubebuilder:printcolumn:name=Granted,type=string,JSONPath=`.status.conditions[?(@.type=="ToolsGranted")].status`,description="Whether it may call the tools that it names"
// +kubebuilder:printcolumn:name=Revision,type=string,JSONPath=`.status.revision`,description="The configuration that serves"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`,description="How long ago it was made"
// +kubebuilder:printcolumn:name=Message,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1,description="What serves, or what keeps it from that"
type Agent struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is who the agent is.
	//
	// +optional
	Spec AgentSpec `json:"spec,omitempty"`

	// Status is how it stands with the agent.
	//
	// +optional
	Status AgentStatus `json:"status,omitempty"`
}

// AgentType is how an agent is made.
//
// +kubebuilder:validation:Enum=Declarative;BYO
type AgentType string

// The types of agents.
const (
	// AgentTypeDeclarative is an agent made of a model, a message and tools.
	AgentTypeDeclarative AgentType = "Declarative"
	// AgentTypeBYO is an agent of an image of one's own.
	AgentTypeBYO AgentType = "BYO"
)

// AgentSpec is who an agent is.
//
// +kubebuilder:validation:XValidation:rule="has(self.type)",message="type must be specified"
// +kubebuilder:validation:XValidation:rule="self.type == 'Declarative' || self.type == 'BYO'",message="type must be either Declarative or BYO"
// +kubebuilder:validation:XValidation:rule="(self.type == 'Declarative' && has(self.declarative)) || (self.type == 'BYO' && has(self.byo))",message="declarative must be specified if type is Declarative, or byo must be specified if type is BYO"
type AgentSpec struct {
	// Type is how the agent is made: Declarative, of a model, a message and
	// tools. BYO, of an image of one's own, is admitted and not served.
	//
	// +optional
	// +kubebuilder:default=Declarative
	Type AgentType `json:"type,omitempty"`

	// Description is what the agent is for, in a sentence: people read it, and
	// agents that use this one as a tool.
	//
	// +optional
	Description string `json:"description,omitempty"`

	// Version is the version that the agent's card shows.
	//
	// +optional
	Version string `json:"version,omitempty"`

	// IconURL is the icon that the agent's card shows.
	//
	// +optional
	// +kubebuilder:validation:Format=uri
	IconURL string `json:"iconUrl,omitempty"`

	// DocumentationURL is the documentation that the agent's card names.
	//
	// +optional
	// +kubebuilder:validation:Format=uri
	DocumentationURL string `json:"documentationUrl,omitempty"`

	// Provider is who answers for the agent, as its card says.
	//
	// +optional
	Provider *AgentProvider `json:"provider,omitempty"`

	// Declarative is the agent itself, if type is Declarative.
	//
	// +optional
	Declarative *DeclarativeAgentSpec `json:"declarative,omitempty"`

	// BYO is the agent itself, if type is BYO. Admitted and not served.
	//
	// +optional
	BYO *BYOAgentSpec `json:"byo,omitempty"`

	// AllowedNamespaces is from which namespaces other agents may use this one
	// as a tool: its own alone if absent.
	//
	// +optional
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// Skills would be files of instructions and scripts that the agent may
	// run. Admitted and not served.
	//
	// +optional
	Skills *SkillsSpec `json:"skills,omitempty"`

	// Sandbox would hold the network of what the agent runs. Admitted and not
	// served: agents run nothing, and a NetworkPolicy holds their pod to the
	// model and the tool servers.
	//
	// +optional
	Sandbox *SandboxSpec `json:"sandbox,omitempty"`
}

// AgentProvider is who answers for an agent.
type AgentProvider struct {
	// Organization is the name of whoever answers for the agent.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Organization string `json:"organization"`

	// URL is where they are found.
	//
	// +required
	// +kubebuilder:validation:Format=uri
	URL string `json:"url"`
}

// SkillsSpec is where skills are.
type SkillsSpec struct {
	// Refs are images that hold skills.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	Refs []string `json:"refs,omitempty"`

	// GitRefs are repositories that hold skills.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	GitRefs []GitRef `json:"gitRefs,omitempty"`

	// S3Refs are buckets that hold skills.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	S3Refs []S3Ref `json:"s3Refs,omitempty"`

	// GitAuthSecretRef is the Secret with the credentials of the repositories.
	//
	// +optional
	GitAuthSecretRef *LocalReference `json:"gitAuthSecretRef,omitempty"`

	// ImagePullSecrets are the Secrets with the credentials of the images.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	ImagePullSecrets []LocalReference `json:"imagePullSecrets,omitempty"`

	// InsecureSkipVerify takes images from whoever answers.
	//
	// +optional
	InsecureSkipVerify bool `json:"insecureSkipVerify,omitempty"`

	// InitContainer is the container that fetches skills.
	//
	// +optional
	InitContainer *SkillsInitContainer `json:"initContainer,omitempty"`
}

// GitRef is a repository that holds skills.
type GitRef struct {
	// URL is the repository.
	//
	// +required
	URL string `json:"url"`

	// Ref is the branch, tag or commit.
	//
	// +optional
	// +kubebuilder:default=main
	Ref string `json:"ref,omitempty"`

	// Path is the folder in it.
	//
	// +optional
	Path string `json:"path,omitempty"`

	// Name is the skill's name.
	//
	// +optional
	Name string `json:"name,omitempty"`
}

// S3Ref is a bucket that holds skills.
type S3Ref struct {
	// URI is the bucket and the folder in it, such as s3://bucket/skills.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:Pattern=`^s3://.+`
	URI string `json:"uri"`

	// Region is the bucket's region.
	//
	// +optional
	Region string `json:"region,omitempty"`

	// Name is the skill's name.
	//
	// +optional
	Name string `json:"name,omitempty"`
}

// SkillsInitContainer is the container that fetches skills.
type SkillsInitContainer struct {
	// Env are its environment variables, as in a Pod.
	//
	// +optional
	Env []Open `json:"env,omitempty"`

	// Resources are its resources, as in a Pod.
	//
	// +optional
	Resources *Open `json:"resources,omitempty"`
}

// SandboxSpec holds what an agent runs.
type SandboxSpec struct {
	// Network is what may be reached.
	//
	// +optional
	Network *SandboxNetwork `json:"network,omitempty"`
}

// SandboxNetwork is what may be reached from a sandbox.
type SandboxNetwork struct {
	// AllowedDomains are the domains that may be reached.
	//
	// +optional
	AllowedDomains []string `json:"allowedDomains,omitempty"`
}

// AgentStatus is how it stands with an agent.
type AgentStatus struct {
	// ObservedGeneration is the generation of the spec that the status is of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions say how it stands. Accepted: all that the agent names is there
	// and fits. Ready: it can be asked. RolledOut: all its pods serve what the
	// spec declares. RolledBack: somebody went back to an earlier revision, which
	// is kept until the spec changes. ToolsGranted: it may call the tools it
	// names. UnsupportedFeatures: which fields are admitted and not served.
	//
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Revision is the configuration that serves: the first ten digits of its
	// hash, and the end of the name of the ConfigMap that holds it.
	//
	// +optional
	Revision string `json:"revision,omitempty"`

	// TargetRevision is the configuration that the spec makes and that was
	// rolled out last. It is another than the one that serves while its pods are
	// not ready, and after somebody went back with kubectl rollout undo.
	//
	// +optional
	TargetRevision string `json:"targetRevision,omitempty"`

	// Replicas is how many pods serve of how many there should be, such as 1/1.
	//
	// +optional
	Replicas string `json:"replicas,omitempty"`
}

// AgentList is a list of agents.
//
// +kubebuilder:object:root=true
type AgentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Agent `json:"items"`
}
