package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Approval is one write that an agent asked for and a person decides about. The
// tool server makes it, with what it found out the write would do; a person
// sets status.decision; the tool server uses it up and then does exactly that.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=apr,categories=toolcrib
type Approval struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ApprovalSpec   `json:"spec"`
	Status ApprovalStatus `json:"status,omitempty"`
}

// ApprovalSpec is the write, as the person who decides reads it. Nothing of it
// changes once it is made.
type ApprovalSpec struct {
	// Server is the tool server that asks and that will do it.
	Server string `json:"server"`
	// Tool is the tool's name.
	Tool string `json:"tool"`
	// Caller is the user who called, as the tool server authenticated it.
	Caller string `json:"caller"`
	// Agent is the caller in short: namespace/name of a ServiceAccount.
	Agent string `json:"agent"`
	// Run is the agent's run, as the agent says.
	Run string `json:"run,omitempty"`
	// Target is what would change, such as "deployments/web in namespace shop".
	Target string `json:"target"`
	// Arguments are the call's, as JSON, with secrets taken out.
	Arguments string `json:"arguments"`
	// ArgumentsHash binds the approval to the arguments as they are (SHA-256).
	ArgumentsHash string `json:"argumentsHash"`
	// Plan is what would change and how.
	Plan string `json:"plan"`
	// PlanHash binds the approval to the plan and to what it rests on (SHA-256).
	PlanHash string `json:"planHash"`
	// ExpiresAt is when a decision comes too late, at most a day after the
	// approval was made.
	ExpiresAt metav1.Time `json:"expiresAt"`
}

// Decision is a person's word on an approval. It is final.
type Decision string

// The decisions.
const (
	DecisionPending  Decision = "Pending"
	DecisionApproved Decision = "Approved"
	DecisionDenied   Decision = "Denied"
)

// ApprovalStatus is what has become of an approval.
type ApprovalStatus struct {
	// Decision is set once, by a person who may decide: verb "decide" on
	// approvals.
	Decision Decision `json:"decision,omitempty"`
	// DecidedBy is the name of the user who decided: their own, as kubectl auth
	// whoami says it.
	DecidedBy string `json:"decidedBy,omitempty"`
	// Reason is what the person tells the agent.
	Reason string `json:"reason,omitempty"`
	// ConsumedAt is when the tool server used the approval up. It does so once.
	ConsumedAt *metav1.Time `json:"consumedAt,omitempty"`
	// ConsumedBy is the id of the call that did, as in the tool server's record.
	ConsumedBy string `json:"consumedBy,omitempty"`
}

// ApprovalList is a list of approvals.
//
// +kubebuilder:object:root=true
type ApprovalList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Approval `json:"items"`
}
