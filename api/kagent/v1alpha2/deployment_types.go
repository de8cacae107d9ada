package v1alpha2

// SharedDeploymentSpec is how an agent's pod is run.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.serviceAccountName) && has(self.serviceAccountConfig))",message="serviceAccountName and serviceAccountConfig are mutually exclusive"
type SharedDeploymentSpec struct {
	// Replicas is how many pods: 1 if absent.
	//
	// +optional
	Replicas *int32 `json:"replicas,omitempty"`

	// ImagePullPolicy is when the image is pulled: Always, IfNotPresent or
	// Never.
	//
	// +optional
	ImagePullPolicy string `json:"imagePullPolicy,omitempty"`

	// ImagePullSecrets are the Secrets with the credentials of the image.
	//
	// +optional
	ImagePullSecrets []LocalReference `json:"imagePullSecrets,omitempty"`

	// Labels are labels of the pods, beside those that all agents have.
	//
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations are annotations of the pods.
	//
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`

	// DeploymentAnnotations are annotations of the Deployment.
	//
	// +optional
	DeploymentAnnotations map[string]string `json:"deploymentAnnotations,omitempty"`

	// Env are environment variables of the container, as in a Pod.
	//
	// +optional
	Env []Open `json:"env,omitempty"`

	// EnvFrom are where environment variables of the container are from, as in
	// a Pod.
	//
	// +optional
	EnvFrom []Open `json:"envFrom,omitempty"`

	// Volumes are volumes of the pods, as in a Pod.
	//
	// +optional
	Volumes []Open `json:"volumes,omitempty"`

	// VolumeMounts are where the container has them, as in a Pod.
	//
	// +optional
	VolumeMounts []Open `json:"volumeMounts,omitempty"`

	// Resources are the container's requests and limits, as in a Pod.
	//
	// +optional
	Resources *Open `json:"resources,omitempty"`

	// Tolerations are the taints that the pods tolerate, as in a Pod.
	//
	// +optional
	Tolerations []Open `json:"tolerations,omitempty"`

	// Affinity is where the pods are put, as in a Pod.
	//
	// +optional
	Affinity *Open `json:"affinity,omitempty"`

	// NodeSelector are labels of the nodes that the pods are put on.
	//
	// +optional
	NodeSelector map[string]string `json:"nodeSelector,omitempty"`

	// SecurityContext is the container's security context, as in a Pod.
	//
	// +optional
	SecurityContext *Open `json:"securityContext,omitempty"`

	// PodSecurityContext is the pods' security context, as in a Pod.
	//
	// +optional
	PodSecurityContext *Open `json:"podSecurityContext,omitempty"`

	// ExtraContainers are further containers of the pods, as in a Pod.
	//
	// +optional
	ExtraContainers []Open `json:"extraContainers,omitempty"`

	// ServiceAccountName is a ServiceAccount that is there already: one is
	// made, of the agent's name, if absent.
	//
	// +optional
	ServiceAccountName *string `json:"serviceAccountName,omitempty"`

	// ServiceAccountConfig is what the ServiceAccount that is made has.
	//
	// +optional
	ServiceAccountConfig *ServiceAccountConfig `json:"serviceAccountConfig,omitempty"`
}

// ServiceAccountConfig is what a ServiceAccount that is made has.
type ServiceAccountConfig struct {
	// Labels are its labels, beside those that all have.
	//
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// Annotations are its annotations.
	//
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// DeclarativeDeploymentSpec is how a declarative agent's pod is run.
type DeclarativeDeploymentSpec struct {
	// ImageRegistry is where the image is from, if not from where the
	// controller's chart says.
	//
	// +optional
	ImageRegistry string `json:"imageRegistry,omitempty"`

	SharedDeploymentSpec `json:",inline"`
}

// BYOAgentSpec is an agent of an image of one's own.
type BYOAgentSpec struct {
	// Deployment is how its pod is run.
	//
	// +optional
	Deployment *BYODeploymentSpec `json:"deployment,omitempty"`
}

// BYODeploymentSpec is how the pod of an agent of one's own is run.
type BYODeploymentSpec struct {
	// Image is the image.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	Image string `json:"image,omitempty"`

	// Cmd is the program in it.
	//
	// +optional
	Cmd *string `json:"cmd,omitempty"`

	// Args are the program's arguments.
	//
	// +optional
	Args []string `json:"args,omitempty"`

	// WorkingDir is the program's folder.
	//
	// +optional
	WorkingDir *string `json:"workingDir,omitempty"`

	SharedDeploymentSpec `json:",inline"`
}
