package v1alpha1

// EventType is what happened in a step of a run.
//
// +kubebuilder:validation:Enum=asked;answered;call;result;waits;folded;resumed;ended
type EventType string

// What happens in the steps of a run.
const (
	// EventAsked is the question.
	EventAsked EventType = "asked"
	// EventAnswered is an answer of the model: text, calls, or both.
	EventAnswered EventType = "answered"
	// EventCall is a tool call that is about to be made.
	EventCall EventType = "call"
	// EventResult is what the tool answered.
	EventResult EventType = "result"
	// EventWaits is a call that waits for a person.
	EventWaits EventType = "waits"
	// EventFolded is the summary that stands for what was before it.
	EventFolded EventType = "folded"
	// EventResumed is a new process that goes on with the run.
	EventResumed EventType = "resumed"
	// EventEnded is the end of the run.
	EventEnded EventType = "ended"
)

// AgentRunEvent is one step of a run. The same form is one line of a record in
// a file.
type AgentRunEvent struct {
	// Time is when it happened, as RFC 3339 with milliseconds.
	//
	// +required
	// +kubebuilder:validation:MaxLength=32
	Time string `json:"time"`

	// Type is what happened: asked, answered (by the model), call (of a tool,
	// about to be made), result (of the tool), waits (for a person), folded
	// (into a summary), resumed (by a new process) or ended.
	//
	// +required
	Type EventType `json:"type"`

	// Turn is the model's answer that it belongs to, counted from 1.
	//
	// +optional
	Turn int32 `json:"turn,omitempty"`

	// Text is what was said: the question, the model's words, the tool's
	// answer, the summary.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	Text string `json:"text,omitempty"`

	// Data is foreign text that came with the question (asked).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=65536
	Data string `json:"data,omitempty"`

	// Seed is random text of which the marks are made that set foreign text
	// apart in this run (asked).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Seed string `json:"seed,omitempty"`

	// Calls are the tool calls that the model asked for (answered).
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=128
	Calls []ToolCall `json:"calls,omitempty"`

	// Call is the id of the tool call that it is about (call, result, waits).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Call string `json:"call,omitempty"`

	// Tool is the tool that is called (call, result, waits).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=256
	Tool string `json:"tool,omitempty"`

	// Error says that the text is an error's.
	//
	// +optional
	Error bool `json:"error,omitempty"`

	// Approval is the Approval that is waited for, as NAMESPACE/NAME (waits).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Approval string `json:"approval,omitempty"`

	// Usage is what the model read and wrote (answered, folded, ended).
	//
	// +optional
	Usage *TokenUsage `json:"usage,omitempty"`

	// Asked is what an agent took that the call asked (result).
	//
	// +optional
	Asked *AskedUsage `json:"asked,omitempty"`

	// Opaque is the model's answer in its provider's own form, as JSON text, if
	// it must be sent back unchanged, as signed thoughts must (answered).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=524288
	Opaque string `json:"opaque,omitempty"`

	// Phase is how the run ended (ended).
	//
	// +optional
	Phase RunPhase `json:"phase,omitempty"`

	// Reason is why: of an end, the phase's reason; of a wait, what for; of a
	// question, what is not on offer; of a result, why the tool was not called or
	// what is unsure; of a call, whether the tool reads or writes.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`
}

// ToolCall is a call that a model asked for.
type ToolCall struct {
	// ID is what the model knows the call by.
	//
	// +required
	// +kubebuilder:validation:MaxLength=256
	ID string `json:"id"`

	// Server is the tool server or agent, as NAMESPACE/NAME.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Server string `json:"server,omitempty"`

	// Tool is the tool.
	//
	// +required
	// +kubebuilder:validation:MaxLength=256
	Tool string `json:"tool"`

	// Arguments are the arguments, as JSON text.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=262144
	Arguments string `json:"arguments,omitempty"`
}
