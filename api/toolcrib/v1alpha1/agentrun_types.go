package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AgentRun is one question to one agent, and what became of it: the answer,
// what it cost, and every step on the way. An agent's pod finds it, claims it
// and works on it; after a restart it goes on from the last step. To ask, with
// kubectl create:
//
//	apiVersion: toolcrib.dev/v1alpha1
//	kind: AgentRun
//	metadata: {generateName: ask-}
//	spec: {agent: NAME, prompt: "Why is web not healthy?"}
//
// A run that no agent takes up, because there is none of that name or it does
// not serve, fails after ten minutes; one whose agent was deleted, ten minutes
// after the last sign of life of whoever worked on it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=agentruns,shortName=arun,categories=toolcrib
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:selectablefield:JSONPath=`.spec.agent`
// +kubebuilder:selectablefield:JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name=Agent,type=string,JSONPath=`.spec.agent`,description="Who is asked"
// +kubebuilder:printcolumn:name=Trigger,type=string,JSONPath=`.spec.trigger.kind`,description="What asked"
// +kubebuilder:printcolumn:name=Phase,type=string,JSONPath=`.status.phase`,description="How far it is"
// +kubebuilder:printcolumn:name=Turns,type=integer,JSONPath=`.status.turns`,description="How often the model answered"
// +kubebuilder:printcolumn:name=Calls,type=integer,JSONPath=`.status.toolCalls`,description="How often tools were called"
// +kubebuilder:printcolumn:name=USD,type=string,JSONPath=`.status.costUSD`,description="What the model cost, in US dollars"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`,description="How long ago it was asked"
// +kubebuilder:printcolumn:name=By,type=string,JSONPath=`.spec.requestedBy`,priority=1,description="Who asked"
// +kubebuilder:printcolumn:name=Input,type=integer,JSONPath=`.status.tokens.input`,priority=1,description="Tokens that the model read"
// +kubebuilder:printcolumn:name=Output,type=integer,JSONPath=`.status.tokens.output`,priority=1,description="Tokens that the model wrote"
// +kubebuilder:printcolumn:name="Cache Read",type=integer,JSONPath=`.status.tokens.cacheRead`,priority=1,description="Tokens that the model read from a cache"
// +kubebuilder:printcolumn:name="Cache Write",type=integer,JSONPath=`.status.tokens.cacheWrite`,priority=1,description="Tokens that the model read and wrote into a cache"
// +kubebuilder:printcolumn:name="Asked Tokens",type=integer,JSONPath=`.status.asked.tokens`,priority=1,description="Tokens that agents took that the run asked"
// +kubebuilder:printcolumn:name="Asked USD",type=string,JSONPath=`.status.asked.costUSD`,priority=1,description="What these cost, in US dollars"
// +kubebuilder:printcolumn:name=Message,type=string,JSONPath=`.status.message`,priority=1,description="How it stands, in a line"
type AgentRun struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the question.
	//
	// +required
	Spec AgentRunSpec `json:"spec"`

	// Status is what has become of it.
	//
	// +optional
	// +kubebuilder:default={}
	Status AgentRunStatus `json:"status,omitzero"`
}

// AgentRunSpec is a question to an agent. Once it is asked, only how long the
// run is kept may change, and whether it goes on.
//
// +kubebuilder:validation:XValidation:rule="self.agent == oldSelf.agent && self.prompt == oldSelf.prompt && has(self.data) == has(oldSelf.data) && (!has(self.data) || self.data == oldSelf.data) && has(self.trigger) == has(oldSelf.trigger) && (!has(self.trigger) || self.trigger == oldSelf.trigger) && has(self.requestedBy) == has(oldSelf.requestedBy) && (!has(self.requestedBy) || self.requestedBy == oldSelf.requestedBy) && has(self.parent) == has(oldSelf.parent) && (!has(self.parent) || self.parent == oldSelf.parent)",message="what was asked never changes, but for cancel and ttlSecondsAfterFinished; ask anew with another AgentRun"
// +kubebuilder:validation:XValidation:rule="!(has(oldSelf.cancel) && oldSelf.cancel) || has(self.cancel) && self.cancel",message="what is cancelled stays cancelled; ask anew with another AgentRun"
type AgentRunSpec struct {
	// Agent is the Agent (kagent.dev) of the run's namespace that is asked.
	// A person needs the verb ask on agents.kagent.dev for it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Agent string `json:"agent"`

	// Prompt is the question, in your own words. At most 65536 characters.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Prompt string `json:"prompt"`

	// Data is foreign text to look at, such as an alert's labels as JSON. The
	// model is shown it as data, fenced, so that what it says is looked at and
	// not obeyed.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Data string `json:"data,omitempty"`

	// Trigger is what asked: a person, if absent.
	//
	// +optional
	// +kubebuilder:default={kind: "Person"}
	Trigger *RunTrigger `json:"trigger,omitempty"`

	// RequestedBy is the user who asked, as the agent or the controller
	// authenticated them that made the run.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	RequestedBy string `json:"requestedBy,omitempty"`

	// Parent is the run that asked, of an agent that uses this one as a tool.
	//
	// +optional
	Parent *RunParent `json:"parent,omitempty"`

	// TTLSecondsAfterFinished is for how long the run is kept once it is over:
	// 604800, which is seven days, if absent.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=315360000
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`

	// Cancel ends the run as soon as it can be. It cannot be taken back:
	//
	//	kubectl patch agentrun NAME --type=merge -p 'spec: {cancel: true}'
	//
	// +optional
	Cancel bool `json:"cancel,omitempty"`
}

// TriggerKind is what asks.
//
// +kubebuilder:validation:Enum=Person;A2A;Agent;AgentTrigger
type TriggerKind string

// What asks.
const (
	// TriggerPerson is somebody with kubectl, or another client of the cluster.
	TriggerPerson TriggerKind = "Person"
	// TriggerA2A is a client that speaks A2A to the agent.
	TriggerA2A TriggerKind = "A2A"
	// TriggerAgent is another agent that uses this one as a tool.
	TriggerAgent TriggerKind = "Agent"
	// TriggerAgentTrigger is an AgentTrigger: an alert or a time of day.
	TriggerAgentTrigger TriggerKind = "AgentTrigger"
)

// RunTrigger is what asked.
type RunTrigger struct {
	// Kind is what asked: Person, A2A, Agent or AgentTrigger.
	//
	// +required
	Kind TriggerKind `json:"kind"`

	// Name is which: the AgentTrigger's name, or the agent's.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// Key is what it asked about: the key that an AgentTrigger knows repeated
	// alerts by, or the time that was due.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Key string `json:"key,omitempty"`
}

// RunParent is a run that asked another agent.
type RunParent struct {
	// Agent is whose run it is, as NAMESPACE/NAME.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Agent string `json:"agent"`

	// Run is the run's name.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Run string `json:"run"`

	// Depth is how many runs are above this one: 1 if that one was asked by a
	// person.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Depth int32 `json:"depth,omitempty"`
}

// RunPhase is how far a run is.
//
// +kubebuilder:validation:Enum=Pending;Running;Waiting;Completed;Stopped;Failed;Cancelled
type RunPhase string

// The phases. The last four are final.
const (
	// RunPending is a run that nobody works on yet.
	RunPending RunPhase = "Pending"
	// RunRunning is a run that an agent works on.
	RunRunning RunPhase = "Running"
	// RunWaiting is a run that waits for a person's decision.
	RunWaiting RunPhase = "Waiting"
	// RunCompleted is a run that came to its answer.
	RunCompleted RunPhase = "Completed"
	// RunStopped is a run that reached a limit: its answer is what was known by
	// then.
	RunStopped RunPhase = "Stopped"
	// RunFailed is a run that an error ended.
	RunFailed RunPhase = "Failed"
	// RunCancelled is a run that somebody ended.
	RunCancelled RunPhase = "Cancelled"
)

// Final says whether nothing more becomes of a run in this phase.
func (p RunPhase) Final() bool {
	switch p {
	case RunCompleted, RunStopped, RunFailed, RunCancelled:
		return true
	}
	return false
}

// AgentRunStatus is what has become of a question.
type AgentRunStatus struct {
	// Phase is how far the run is. Completed: it came to its answer. Stopped:
	// it reached a limit, and the answer is what was known by then. Waiting: a
	// person has to decide.
	//
	// +optional
	// +kubebuilder:default=Pending
	Phase RunPhase `json:"phase,omitempty"`

	// Message is how it stands, in a line: what it waits for, why it ended, or
	// the first words of the answer.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`

	// Answer is the answer.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=131072
	Answer string `json:"answer,omitempty"`

	// Turns is how often the model answered.
	//
	// +optional
	Turns int32 `json:"turns,omitempty"`

	// ToolCalls is how often tools were called.
	//
	// +optional
	ToolCalls int32 `json:"toolCalls,omitempty"`

	// Tokens is what the run's own model read and wrote, in all.
	//
	// +optional
	Tokens TokenUsage `json:"tokens,omitzero"`

	// CostUSD is what the model cost, if its price is known.
	//
	// +optional
	CostUSD Dollars `json:"costUSD,omitempty"`

	// Asked is what agents took that the run asked as tools, which is not in
	// tokens and costUSD. It counts towards the limits of the run all the same.
	//
	// +optional
	Asked AskedUsage `json:"asked,omitzero"`

	// Approvals are the approvals that the run asked for.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Approvals []RunApproval `json:"approvals,omitempty"`

	// TraceID is the run's trace, as OpenTelemetry knows it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	TraceID string `json:"traceID,omitempty"`

	// Revision is the agent's configuration that worked on the run.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Revision string `json:"revision,omitempty"`

	// StartedAt is when the agent began to work on it.
	//
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`

	// FinishedAt is when it was over.
	//
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`

	// Claim is who works on it.
	//
	// +optional
	Claim *RunClaim `json:"claim,omitempty"`

	// Events are the steps of the run, in order. They are only ever added to.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=4096
	Events []AgentRunEvent `json:"events,omitempty"`
}

// TokenUsage is what a model read and wrote, in tokens.
type TokenUsage struct {
	// Input is what it read anew.
	//
	// +optional
	Input int64 `json:"input,omitempty"`

	// Output is what it wrote, thoughts included.
	//
	// +optional
	Output int64 `json:"output,omitempty"`

	// CacheRead is what it read from a cache.
	//
	// +optional
	CacheRead int64 `json:"cacheRead,omitempty"`

	// CacheWrite is what it read and wrote into a cache.
	//
	// +optional
	CacheWrite int64 `json:"cacheWrite,omitempty"`
}

// AskedUsage is what agents took that were asked as tools, with those that they
// asked in turn.
type AskedUsage struct {
	// Questions is how often agents were asked.
	//
	// +optional
	Questions int32 `json:"questions,omitempty"`

	// Unstated is of how many questions it is not known what all of it took: the
	// agent does not say, or the price of its model is not known. What is not
	// known counts towards no limit.
	//
	// +optional
	Unstated int32 `json:"unstated,omitempty"`

	// Tokens is how many tokens their models read and wrote.
	//
	// +optional
	Tokens int64 `json:"tokens,omitempty"`

	// CostUSD is what their models cost.
	//
	// +optional
	CostUSD Dollars `json:"costUSD,omitempty"`
}

// RunApproval is an approval that a run asked for.
type RunApproval struct {
	// Name is the Approval, as NAMESPACE/NAME.
	//
	// +required
	// +kubebuilder:validation:MaxLength=512
	Name string `json:"name"`

	// Tool is the tool that would write.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=128
	Tool string `json:"tool,omitempty"`

	// Target is what would change.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	Target string `json:"target,omitempty"`

	// Decision is what the person said.
	//
	// +optional
	Decision Decision `json:"decision,omitempty"`
}

// RunClaim is who works on a run.
type RunClaim struct {
	// Holder is the process: the pod's name and something that is new at each
	// start of it.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Holder string `json:"holder"`

	// RenewedAt is when it last said that it is alive. A claim that was not
	// renewed for a minute may be taken over.
	//
	// +required
	RenewedAt metav1.MicroTime `json:"renewedAt"`
}

// AgentRunList is a list of runs.
//
// +kubebuilder:object:root=true
type AgentRunList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AgentRun `json:"items"`
}
