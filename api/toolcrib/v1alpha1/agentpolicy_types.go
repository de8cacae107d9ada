package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AgentPolicy holds agents to less than they ask for. It names the Agents of
// its namespace that it holds; an Agent that several name is held to all of
// them, and of each limit to the lowest. A policy can only tighten: it grants
// no tool, lifts no limit of an Agent, and spares nobody an approval.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:path=agentpolicies,categories=toolcrib
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name=Access,type=string,JSONPath=`.spec.access`,description="What its agents may do with what their tools reach"
// +kubebuilder:printcolumn:name=Turns,type=integer,JSONPath=`.spec.perRun.turns`,description="Most answers of the model in one run"
// +kubebuilder:printcolumn:name=USD/Run,type=string,JSONPath=`.spec.perRun.costUSD`,description="Most a run may cost, in US dollars"
// +kubebuilder:printcolumn:name=USD/Day,type=string,JSONPath=`.spec.perDay.costUSD`,description="Most all runs of an agent may cost in a day, in US dollars"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`,description="How long ago it was made"
type AgentPolicy struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is whom the policy holds, and to what.
	//
	// +required
	Spec AgentPolicySpec `json:"spec"`
}

// AgentPolicySpec is whom a policy holds, and to what.
type AgentPolicySpec struct {
	// AgentSelector names by their labels the Agents (kagent.dev) of the
	// policy's namespace that it holds. Whoever may change an Agent's labels may
	// so leave a policy, but not one of {}, which names all Agents, also those
	// that are yet to come.
	//
	// +required
	AgentSelector metav1.LabelSelector `json:"agentSelector"`

	// Access is the most its agents may do, ReadOnly if absent. ReadOnly: tools
	// that write are not offered to the model. Approve: a person decides about
	// each write, as without any policy. Write: of itself the agent asks about
	// nothing but what its requireApproval names; tool servers ask all the same.
	//
	// +optional
	// +kubebuilder:default=ReadOnly
	Access Access `json:"access,omitempty"`

	// ApprovalTimeout is how long a write waits for a person, such as 30m; it
	// is denied then. At most 24h.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s))+$`
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('24h')",message="give more than 0s and at most 24h"
	ApprovalTimeout *metav1.Duration `json:"approvalTimeout,omitempty"`

	// PerRun are the limits of each run of each agent.
	//
	// +optional
	PerRun RunLimits `json:"perRun,omitzero"`

	// PerDay are the limits of each agent's runs of one day, together. A day is
	// one of UTC.
	//
	// +optional
	PerDay DayLimits `json:"perDay,omitzero"`
}

// Access is the most an agent may do with what its tools reach.
//
// +kubebuilder:validation:Enum=ReadOnly;Approve;Write
type Access string

// The kinds of access, from little to much.
const (
	// AccessReadOnly takes the tools that write out of the agent's hands.
	AccessReadOnly Access = "ReadOnly"
	// AccessApprove has a person decide about each write.
	AccessApprove Access = "Approve"
	// AccessWrite leaves it to the tool server who decides.
	AccessWrite Access = "Write"
)

// RunLimits are what one run may take at most. What is not set is not limited
// here.
type RunLimits struct {
	// Turns is how often the model may answer.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=10000
	Turns *int32 `json:"turns,omitempty"`

	// ToolCalls is how often tools may be called.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	ToolCalls *int32 `json:"toolCalls,omitempty"`

	// Duration is how long the run may take, such as 15m, without the time it
	// waits for a person.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s))+$`
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s')",message="give more than 0s"
	Duration *metav1.Duration `json:"duration,omitempty"`

	// Tokens is how many tokens the model may read and write, those it reads
	// from a cache included, together with the models of agents that are asked as
	// tools, as far as these say what they take.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	Tokens *int64 `json:"tokens,omitempty"`

	// CostUSD is what the model may cost, together with the models of agents that
	// are asked as tools, as far as these say what they take.
	//
	// +optional
	CostUSD *Dollars `json:"costUSD,omitempty"`
}

// DayLimits are what the runs of one agent may take in a day, together. What is
// not set is not limited here.
type DayLimits struct {
	// Runs is how many runs may begin.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=100000
	Runs *int32 `json:"runs,omitempty"`

	// ToolCalls is how often tools may be called.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10000000
	ToolCalls *int32 `json:"toolCalls,omitempty"`

	// Tokens is how many tokens the model may read and write, those it reads
	// from a cache included, together with the models of agents that are asked as
	// tools, as far as these say what they take.
	//
	// +optional
	// +kubebuilder:validation:Minimum=1
	Tokens *int64 `json:"tokens,omitempty"`

	// CostUSD is what the model may cost, together with the models of agents that
	// are asked as tools, as far as these say what they take.
	//
	// +optional
	CostUSD *Dollars `json:"costUSD,omitempty"`
}

// Dollars is an amount of US dollars as decimal text, such as "0.25": as the
// providers of models price them, and free of what floats do to money.
//
// +kubebuilder:validation:Pattern=`^[0-9]{1,9}(\.[0-9]{1,6})?$`
// +kubebuilder:validation:MaxLength=16
type Dollars string

// AgentPolicyList is a list of policies.
//
// +kubebuilder:object:root=true
type AgentPolicyList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AgentPolicy `json:"items"`
}
