package v1alpha2

// AgentRuntime is a program that runs declarative agents.
//
// +kubebuilder:validation:Enum=python;go
type AgentRuntime string

// The runtimes that kagent knows.
const (
	RuntimePython AgentRuntime = "python"
	RuntimeGo     AgentRuntime = "go"
)

// DeclarativeAgentSpec is an agent made of a model, a message and tools.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.systemMessage) && has(self.systemMessageFrom))",message="systemMessage and systemMessageFrom are mutually exclusive"
type DeclarativeAgentSpec struct {
	// ModelConfig is the ModelConfig of the agent's namespace that it thinks
	// with: default-model-config if absent.
	//
	// +optional
	ModelConfig string `json:"modelConfig,omitempty"`

	// SystemMessage is what the agent is told to be and to do, before anything
	// else.
	//
	// +optional
	SystemMessage string `json:"systemMessage,omitempty"`

	// SystemMessageFrom is where that is written instead.
	//
	// +optional
	SystemMessageFrom *ValueSource `json:"systemMessageFrom,omitempty"`

	// PromptTemplate makes the system message a Go template, which may include
	// texts of ConfigMaps: {{include "ALIAS/KEY"}}.
	//
	// +optional
	PromptTemplate *PromptTemplateSpec `json:"promptTemplate,omitempty"`

	// Tools are the tools that the agent may use: tools of tool servers, and
	// other agents.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	Tools []Tool `json:"tools,omitempty"`

	// A2AConfig is what the agent's card says of it.
	//
	// +optional
	A2AConfig *A2AConfig `json:"a2aConfig,omitempty"`

	// Stream has the model's answers sent on as it writes them, to whoever asks
	// for a stream: true if absent.
	//
	// +optional
	Stream *bool `json:"stream,omitempty"`

	// Runtime is the program that kagent would run the agent with. Here one
	// program runs them all: python is admitted, and makes no difference.
	//
	// +optional
	// +kubebuilder:default=go
	Runtime AgentRuntime `json:"runtime,omitempty"`

	// Context is what becomes of a conversation that grows long.
	//
	// +optional
	Context *ContextConfig `json:"context,omitempty"`

	// Deployment is how the agent's pod is run.
	//
	// +optional
	Deployment *DeclarativeDeploymentSpec `json:"deployment,omitempty"`

	// ExecuteCodeBlocks would run the code that the model writes. Admitted and
	// not served.
	//
	// +optional
	ExecuteCodeBlocks *bool `json:"executeCodeBlocks,omitempty"`

	// Memory would keep what was said for later conversations. Admitted and
	// not served.
	//
	// +optional
	Memory *MemorySpec `json:"memory,omitempty"`

	// ShareTools would hand this agent's tools on to the agents it uses.
	// Admitted and not served: each agent has its own.
	//
	// +optional
	ShareTools *bool `json:"shareTools,omitempty"`
}

// PromptTemplateSpec is what a system message may include.
type PromptTemplateSpec struct {
	// DataSources are the objects whose texts may be included.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	DataSources []PromptSource `json:"dataSources,omitempty"`
}

// PromptSource is an object whose texts may be included.
type PromptSource struct {
	// Kind is the object's kind: ConfigMap, which is also what it is if absent.
	//
	// +optional
	Kind string `json:"kind,omitempty"`

	// APIGroup is the group of the kind: of ConfigMap, none.
	//
	// +optional
	APIGroup string `json:"apiGroup,omitempty"`

	// Name is the object's name, in the agent's namespace.
	//
	// +required
	Name string `json:"name"`

	// Alias is what the message calls it by: its name if absent.
	//
	// +optional
	Alias string `json:"alias,omitempty"`
}

// A2AConfig is what an agent's card says of it.
type A2AConfig struct {
	// Skills are what the agent can do.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	Skills []AgentSkill `json:"skills,omitempty"`
}

// AgentSkill is something that an agent can do.
type AgentSkill struct {
	// ID is what programs know the skill by.
	//
	// +optional
	ID string `json:"id,omitempty"`

	// Name is what people know the skill by.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	Name string `json:"name"`

	// Description is what the skill is good for.
	//
	// +optional
	Description string `json:"description,omitempty"`

	// Tags are words to find the skill by.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	Tags []string `json:"tags,omitempty"`

	// Examples are questions that the skill answers.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	Examples []string `json:"examples,omitempty"`

	// InputModes are the media types that it reads.
	//
	// +optional
	InputModes []string `json:"inputModes,omitempty"`

	// OutputModes are the media types that it writes.
	//
	// +optional
	OutputModes []string `json:"outputModes,omitempty"`
}

// ContextConfig is what becomes of a conversation that grows long.
type ContextConfig struct {
	// Compaction is how the older part of a conversation is folded into a
	// summary. That it is folded before it outgrows the model goes without
	// saying.
	//
	// +optional
	Compaction *ContextCompressionConfig `json:"compaction,omitempty"`
}

// ContextCompressionConfig is when and how a conversation is folded.
type ContextCompressionConfig struct {
	// CompactionInterval would be after how many new questions the older part
	// of the conversation is folded. Admitted and not served, but for its
	// default: a conversation is folded when it is long, by tokenThreshold.
	//
	// +optional
	// +kubebuilder:default=5
	// +kubebuilder:validation:Minimum=1
	CompactionInterval *int32 `json:"compactionInterval,omitempty"`

	// OverlapSize would be how many questions, folded already, go into the next
	// summary again. Admitted and not served, but for its default: each summary
	// begins with the one before it.
	//
	// +optional
	// +kubebuilder:default=2
	// +kubebuilder:validation:Minimum=0
	OverlapSize *int32 `json:"overlapSize,omitempty"`

	// TokenThreshold is from how many tokens on the conversation is folded: a
	// share of what the model can read, if absent.
	//
	// +optional
	TokenThreshold *int32 `json:"tokenThreshold,omitempty"`

	// EventRetentionSize is how many of the latest events are never folded.
	//
	// +optional
	EventRetentionSize *int32 `json:"eventRetentionSize,omitempty"`

	// Summarizer is who writes the summary: the agent's own model if absent.
	//
	// +optional
	Summarizer *ContextSummarizerConfig `json:"summarizer,omitempty"`
}

// ContextSummarizerConfig is who writes summaries of conversations.
type ContextSummarizerConfig struct {
	// ModelConfig is the model that writes: the agent's if absent.
	//
	// +optional
	ModelConfig string `json:"modelConfig,omitempty"`

	// PromptTemplate is how it is asked to.
	//
	// +optional
	PromptTemplate string `json:"promptTemplate,omitempty"`
}

// MemorySpec is what an agent would remember.
type MemorySpec struct {
	// ModelConfig is the model that makes embeddings.
	//
	// +required
	ModelConfig string `json:"modelConfig"`

	// TTLDays is for how many days.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	TTLDays *int32 `json:"ttlDays,omitempty"`
}

// ToolType is what a tool of an agent is.
//
// +kubebuilder:validation:Enum=McpServer;Agent
type ToolType string

// The types of tools.
const (
	ToolTypeMCPServer ToolType = "McpServer"
	ToolTypeAgent     ToolType = "Agent"
)

// Tool is what an agent may use: tools of a tool server, or another agent.
//
// +kubebuilder:validation:XValidation:rule="!(has(self.mcpServer) && has(self.type) && self.type != 'McpServer')",message="type.mcpServer must be nil if the type is not McpServer"
// +kubebuilder:validation:XValidation:rule="!(!has(self.mcpServer) && has(self.type) && self.type == 'McpServer')",message="type.mcpServer must be specified for McpServer filter.type"
// +kubebuilder:validation:XValidation:rule="!(has(self.agent) && has(self.type) && self.type != 'Agent')",message="type.agent must be nil if the type is not Agent"
// +kubebuilder:validation:XValidation:rule="!(!has(self.agent) && has(self.type) && self.type == 'Agent')",message="type.agent must be specified for Agent filter.type"
// +kubebuilder:validation:XValidation:rule="!has(self.isolateSessions) || !self.isolateSessions || has(self.agent)",message="isolateSessions can only be set when type is Agent"
// +kubebuilder:validation:XValidation:rule="has(self.mcpServer) || has(self.agent)",message="name what the tool is: mcpServer or agent"
type Tool struct {
	// Type is what the tool is: McpServer or Agent. It may be left out.
	//
	// +optional
	Type ToolType `json:"type,omitempty"`

	// MCPServer is a tool server and which of its tools, if type is McpServer.
	//
	// +optional
	MCPServer *MCPServerTool `json:"mcpServer,omitempty"`

	// Agent is another agent, if type is Agent.
	//
	// +optional
	Agent *TypedReference `json:"agent,omitempty"`

	// HeadersFrom are headers of every request to the tool server or agent,
	// before those of the same name that the server itself names.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=50
	HeadersFrom []ValueRef `json:"headersFrom,omitempty"`

	// IsolateSessions begins a new conversation with the other agent at each
	// call.
	//
	// +optional
	IsolateSessions *bool `json:"isolateSessions,omitempty"`
}

// TypedReference names an object of some kind.
type TypedReference struct {
	// Kind is the object's kind: of a tool server, RemoteMCPServer, which it is
	// if absent; of an agent, Agent. kagent's MCPServer and Service are admitted
	// and not served: make a RemoteMCPServer for them.
	//
	// +optional
	Kind string `json:"kind,omitempty"`

	// APIGroup is the group of the kind: kagent.dev.
	//
	// +optional
	APIGroup string `json:"apiGroup,omitempty"`

	// Name is the object's name.
	//
	// +required
	Name string `json:"name"`

	// Namespace is the object's namespace: the agent's if absent. An object of
	// another one must allow it, by its allowedNamespaces.
	//
	// +optional
	Namespace string `json:"namespace,omitempty"`
}

// MCPServerTool is a tool server and which of its tools.
//
// +kubebuilder:validation:XValidation:rule="!has(self.requireApproval) || !has(self.toolNames) || self.requireApproval.all(t, t in self.toolNames)",message="each RequireApproval entry must also appear in ToolNames"
type MCPServerTool struct {
	TypedReference `json:",inline"`

	// ToolNames are the tools of the server that the agent may use: all of
	// them if absent.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=128
	ToolNames []string `json:"toolNames,omitempty"`

	// RequireApproval are those of them that a person has to approve at every
	// call.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=50
	// +kubebuilder:validation:items:MaxLength=128
	RequireApproval []string `json:"requireApproval,omitempty"`

	// AllowedHeaders would be headers of the question that are sent on to the
	// server. Admitted and not served.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=50
	AllowedHeaders []string `json:"allowedHeaders,omitempty"`
}
