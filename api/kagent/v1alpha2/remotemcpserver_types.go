package v1alpha2

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RemoteMCPServer is a tool server: where it is, how to speak to it, and which
// tools it was found to have. Agents name it among their tools.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=remotemcpservers,shortName=rmcps,categories=kagent;toolcrib
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name=Protocol,type=string,JSONPath=`.spec.protocol`,description="How it is spoken to"
// +kubebuilder:printcolumn:name=URL,type=string,JSONPath=`.spec.url`,description="Where it is"
// +kubebuilder:printcolumn:name=Accepted,type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`,description="Whether its tools were found"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`,description="How long ago it was made"
// +kubebuilder:printcolumn:name=Message,type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].message`,priority=1,description="What is wrong, if anything is"
type RemoteMCPServer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is where the server is and how to speak to it.
	//
	// +optional
	Spec RemoteMCPServerSpec `json:"spec,omitempty"`

	// Status is what was found of the server.
	//
	// +optional
	Status RemoteMCPServerStatus `json:"status,omitempty"`
}

// RemoteMCPServerSpec is where a tool server is and how to speak to it.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.tls) && self.url.startsWith('http://'))",message="spec.tls must be unset when spec.url has http:// scheme: a TLS opinion contradicts a plaintext URL. Either drop spec.tls, or use https:// / a scheme-less URL."
// +kubebuilder:validation:XValidation:rule="!(has(self.tls) && has(self.tls.caCertSecretRef) && size(self.tls.caCertSecretRef) > 0 && has(self.allowedNamespaces) && self.allowedNamespaces.from != 'Same')",message="spec.allowedNamespaces must not permit cross-namespace access (from: All or from: Selector) when spec.tls.caCertSecretRef is set: a pinned CA Secret is mounted onto the consuming agent's pod and Kubernetes resolves it in the agent's namespace, not this RemoteMCPServer's. Use from: Same (the default), or remove the CA Secret reference."
type RemoteMCPServerSpec struct {
	// Description is what the server is for, in a sentence.
	//
	// +required
	Description string `json:"description"`

	// Protocol is how the server is spoken to: STREAMABLE_HTTP, or SSE with
	// servers that know only the older one.
	//
	// +optional
	// +kubebuilder:default=STREAMABLE_HTTP
	Protocol RemoteMCPServerProtocol `json:"protocol,omitempty"`

	// URL is where the server listens, such as
	// http://kubernetes-mcp.tools.svc:8080/mcp.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	URL string `json:"url"`

	// HeadersFrom are headers of every request to the server. Those from a
	// Secret are for agents of the server's own namespace: pods have Secrets of
	// their own namespace alone.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=50
	HeadersFrom []ValueRef `json:"headersFrom,omitempty"`

	// Timeout is how long one request to the server may take, such as 30s.
	//
	// +optional
	// +kubebuilder:default="30s"
	Timeout Duration `json:"timeout,omitempty"`

	// SSEReadTimeout is how long a stream may stay silent, if protocol is SSE.
	//
	// +optional
	SSEReadTimeout Duration `json:"sseReadTimeout,omitempty"`

	// TerminateOnClose ends the session at the server when the agent is done.
	//
	// +optional
	// +kubebuilder:default=true
	TerminateOnClose *bool `json:"terminateOnClose,omitempty"`

	// AllowedNamespaces is from which namespaces agents may use the server:
	// its own alone if absent.
	//
	// +optional
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// TLS says whom to trust on the connection to the server: the authorities
	// that the system knows, if absent.
	//
	// +optional
	TLS *TLSConfig `json:"tls,omitempty"`
}

// RemoteMCPServerProtocol is a transport of MCP.
//
// +kubebuilder:validation:Enum=SSE;STREAMABLE_HTTP
type RemoteMCPServerProtocol string

// The transports.
const (
	ProtocolSSE            RemoteMCPServerProtocol = "SSE"
	ProtocolStreamableHTTP RemoteMCPServerProtocol = "STREAMABLE_HTTP"
)

// RemoteMCPServerStatus is what was found of a tool server.
type RemoteMCPServerStatus struct {
	// ObservedGeneration is the generation of the spec that the status is of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions say how it stands with the server. Accepted: its tools were
	// found. GatesWrites, where annotation toolcrib.dev/access is write: agents
	// leave it to the server to have a person decide about each write, as the
	// server itself says that it does.
	//
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// SecretHash is a hash of the Secrets that the spec refers to: it changes
	// when they do.
	//
	// +optional
	SecretHash string `json:"secretHash,omitempty"`

	// DiscoveredTools are the tools that the server says it has.
	//
	// +optional
	DiscoveredTools []MCPTool `json:"discoveredTools,omitempty"`
}

// MCPTool is one tool of a server.
type MCPTool struct {
	// Name is what agents call it by.
	//
	// +required
	Name string `json:"name"`

	// Description is what it does, as the server says.
	//
	// +required
	Description string `json:"description"`

	// Class is what a call does to the world, as the server says: read changes
	// nothing, write changes something, destroy takes something away. A tool of
	// which the server says nothing is of class write.
	//
	// +optional
	Class ToolClass `json:"class,omitempty"`
}

// ToolClass is what calls of a tool do to the world.
//
// +kubebuilder:validation:Enum=read;write;destroy
type ToolClass string

// The classes of tools.
const (
	ClassRead    ToolClass = "read"
	ClassWrite   ToolClass = "write"
	ClassDestroy ToolClass = "destroy"
)

// RemoteMCPServerList is a list of tool servers.
//
// +kubebuilder:object:root=true
type RemoteMCPServerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RemoteMCPServer `json:"items"`
}
