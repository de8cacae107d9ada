package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Approval is one write that an agent asked for and a person decides about.
// The tool server makes it, with what it found out the write would do; a
// person decides, once; the tool server then uses it up, once, for exactly
// that write. Read spec.plan, then approve:
//
//	kubectl patch approval NAME --subresource=status --type=merge \
//	  -p 'status: {decision: Approved, decidedBy: YOUR-USER-NAME}'
//
// Whoever decides holds the verbs patch on approvals/status and decide on
// approvals (ClusterRole toolcrib-approver), is no ServiceAccount, and is not
// the caller.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:shortName=apr,categories=toolcrib
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:selectablefield:JSONPath=`.status.decision`
// +kubebuilder:selectablefield:JSONPath=`.spec.agent`
// +kubebuilder:selectablefield:JSONPath=`.spec.caller`
// +kubebuilder:selectablefield:JSONPath=`.spec.run`
// +kubebuilder:selectablefield:JSONPath=`.spec.tool`
// +kubebuilder:printcolumn:name=Agent,type=string,JSONPath=`.spec.agent`,description="Who asked"
// +kubebuilder:printcolumn:name=Tool,type=string,JSONPath=`.spec.tool`,description="The tool that would write"
// +kubebuilder:printcolumn:name=Target,type=string,JSONPath=`.spec.target`,description="What would change"
// +kubebuilder:printcolumn:name=Decision,type=string,JSONPath=`.status.decision`,description="Pending, Approved or Denied"
// +kubebuilder:printcolumn:name=By,type=string,JSONPath=`.status.decidedBy`,description="Who decided"
// +kubebuilder:printcolumn:name=Used,type=date,JSONPath=`.status.consumedAt`,description="How long ago the write began"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`,description="How long ago it was asked for"
// +kubebuilder:printcolumn:name=Expires,type=string,JSONPath=`.spec.expiresAt`,priority=1,description="When a decision comes too late"
// +kubebuilder:printcolumn:name=Run,type=string,JSONPath=`.spec.run`,priority=1,description="The agent's run, as the agent says"
// +kubebuilder:printcolumn:name=Reason,type=string,JSONPath=`.status.reason`,priority=1,description="What the person said"
type Approval struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the write, as the person who decides reads it. Nothing of it
	// changes once it is made.
	//
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="what a person reads is what is done: the spec of an approval never changes; ask for a new approval"
	Spec ApprovalSpec `json:"spec"`

	// Status is what has become of it: nothing yet, a decision, a use.
	//
	// +optional
	// +kubebuilder:default={}
	Status ApprovalStatus `json:"status,omitempty"`
}

// ApprovalSpec is the write, as the person who decides reads it.
type ApprovalSpec struct {
	// Server is the tool server that asks and that will write, such as
	// kubernetes-mcp.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Server string `json:"server"`

	// Tool is the tool that was called, such as k8s_scale.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Tool string `json:"tool"`

	// Caller is the user who called, as the tool server authenticated it, such
	// as system:serviceaccount:kagent:troubleshooter. The caller cannot decide
	// about its own call.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Caller string `json:"caller"`

	// Agent is the caller in short: NAMESPACE/NAME of a ServiceAccount, the
	// user name of anybody else.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	Agent string `json:"agent"`

	// Run is the agent's run, as the agent says. Nobody has checked it.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Run string `json:"run,omitempty"`

	// Target is what would change, such as "deployments/web in namespace shop".
	//
	// +required
	// +kubebuilder:validation:MaxLength=4096
	Target string `json:"target"`

	// Arguments are those of the call, as a JSON object. Each secret in them is
	// replaced by a fingerprint.
	//
	// +required
	// +kubebuilder:validation:MinLength=2
	// +kubebuilder:validation:MaxLength=262144
	Arguments string `json:"arguments"`

	// ArgumentsHash binds the approval to the arguments as they were sent,
	// secrets included (SHA-256).
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	ArgumentsHash string `json:"argumentsHash"`

	// Plan is what would change and how, as the backend itself found out: read
	// this before you decide.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Plan string `json:"plan"`

	// PlanHash binds the approval to the plan and to the versions of what it
	// rests on (SHA-256). If any of that changes before the write begins, the
	// approval is good for nothing and the agent needs a new one.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	PlanHash string `json:"planHash"`

	// ExpiresAt is when a decision, or its use, comes too late: at most 24
	// hours after the approval was made.
	//
	// +required
	ExpiresAt metav1.Time `json:"expiresAt"`
}

// Decision is a person's word on an approval. It is final.
//
// +kubebuilder:validation:Enum=Pending;Approved;Denied
type Decision string

// The decisions.
const (
	DecisionPending  Decision = "Pending"
	DecisionApproved Decision = "Approved"
	DecisionDenied   Decision = "Denied"
)

// ApprovalStatus is what has become of an approval. Each step is taken once and
// is final.
type ApprovalStatus struct {
	// Decision is Pending until a person sets it to Approved or Denied, in one
	// update with decidedBy. It is final.
	//
	// +optional
	// +kubebuilder:default=Pending
	Decision Decision `json:"decision,omitempty"`

	// DecidedBy is the user who decided. Set it to your own user name, as
	// kubectl auth whoami says it; the API server refuses any other.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	DecidedBy string `json:"decidedBy,omitempty"`

	// Reason is what you tell the agent, if anything. It goes with the
	// decision.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Reason string `json:"reason,omitempty"`

	// ConsumedAt is when the tool server used the approval up and the write
	// began. An approval without it has changed nothing.
	//
	// +optional
	ConsumedAt *metav1.Time `json:"consumedAt,omitempty"`

	// ConsumedBy is the call that used it up: its id in the tool server's
	// record.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
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
