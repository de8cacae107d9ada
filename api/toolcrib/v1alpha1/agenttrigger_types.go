package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// AgentTrigger asks an agent when something happens: an alert fires, or it is
// time. What is not worth a question is sorted out before any model is asked:
// by a filter, by what was asked about already, by a time to cool down, and by
// how many runs there may be at once.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=agenttriggers,shortName=atr,categories=toolcrib
// +kubebuilder:metadata:annotations="helm.sh/resource-policy=keep"
// +kubebuilder:printcolumn:name=Agent,type=string,JSONPath=`.spec.agent`,description="Who is asked"
// +kubebuilder:printcolumn:name=Schedule,type=string,JSONPath=`.spec.schedule.cron`,description="When, if by time"
// +kubebuilder:printcolumn:name=Suspend,type=boolean,JSONPath=`.spec.suspend`,description="Whether it rests"
// +kubebuilder:printcolumn:name=Started,type=integer,JSONPath=`.status.counts.started`,description="How many runs it began"
// +kubebuilder:printcolumn:name=Last,type=date,JSONPath=`.status.lastRunAt`,description="How long ago it began the last one"
// +kubebuilder:printcolumn:name=Ready,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`,description="Whether it would ask"
// +kubebuilder:printcolumn:name=Age,type=date,JSONPath=`.metadata.creationTimestamp`,description="How long ago it was made"
// +kubebuilder:printcolumn:name=Next,type=string,JSONPath=`.status.nextRunAt`,priority=1,description="When it is due again"
// +kubebuilder:printcolumn:name=Run,type=string,JSONPath=`.status.lastRun`,priority=1,description="The last run"
// +kubebuilder:printcolumn:name=Message,type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].message`,priority=1,description="What is wrong, if anything is"
type AgentTrigger struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is when to ask whom what.
	//
	// +required
	Spec AgentTriggerSpec `json:"spec"`

	// Status is what has become of it.
	//
	// +optional
	Status AgentTriggerStatus `json:"status,omitzero"`
}

// AgentTriggerSpec is when to ask whom what.
//
// +kubebuilder:validation:XValidation:rule="has(self.schedule) != has(self.alertmanager)",message="give exactly one of schedule and alertmanager"
// +kubebuilder:validation:XValidation:rule="has(self.alertmanager) || (!has(self.filter) && !has(self.dedupe))",message="filter and dedupe are about alerts: a schedule has none"
type AgentTriggerSpec struct {
	// Agent is the Agent (kagent.dev) of the trigger's namespace that is asked.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Agent string `json:"agent"`

	// Prompt is the question, as it stands: it is no template. The alerts go
	// beside it, as data, because whoever writes labels must not be able to ask
	// for anything.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Prompt string `json:"prompt"`

	// Schedule asks when it is time. A time that was missed, as while the
	// controller was down, is made up for up to an hour later; of several, the
	// last.
	//
	// +optional
	Schedule *TriggerSchedule `json:"schedule,omitempty"`

	// Alertmanager asks when an alert fires, if Alertmanager sends its
	// notifications to the controller's webhook for this trigger. {} is
	// enough.
	//
	// +optional
	Alertmanager *TriggerAlertmanager `json:"alertmanager,omitempty"`

	// Filter is a CEL expression over alert that says whether to ask about it,
	// such as alert.labels.severity == "critical". All alerts if absent.
	//
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=4096
	Filter string `json:"filter,omitempty"`

	// Dedupe are the labels by which two alerts are the same, such as
	// [alertname, namespace]: while a run about one is under way no second
	// begins, and those that come at once are asked about together. All labels
	// (the alert's fingerprint) if absent.
	//
	// +optional
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=256
	Dedupe []string `json:"dedupe,omitempty"`

	// Cooldown is for how long after a run began the same alert begins none,
	// such as 30m, which it is if absent. At most 168h.
	//
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]{1,5}(h|m|s))+$`
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('0s') && duration(self) <= duration('168h')",message="give at least 0s and at most 168h"
	Cooldown *metav1.Duration `json:"cooldown,omitempty"`

	// MaxActive is how many runs of this trigger there may be at once.
	//
	// +optional
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	MaxActive int32 `json:"maxActive,omitempty"`

	// Suspend has the trigger rest: nothing is asked. Runs that began go on.
	//
	// +optional
	Suspend bool `json:"suspend,omitempty"`

	// TTLSecondsAfterFinished is for how long its runs are kept once they are
	// over: 604800, which is seven days, if absent.
	//
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=315360000
	TTLSecondsAfterFinished *int32 `json:"ttlSecondsAfterFinished,omitempty"`
}

// TriggerSchedule is when it is time.
type TriggerSchedule struct {
	// Cron is when, as in a CronJob: minute, hour, day of the month, month, day
	// of the week. 0 7 * * 1-5 is seven in the morning from Monday to Friday.
	//
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +kubebuilder:validation:XValidation:rule="self.matches('^(@(hourly|daily|midnight|weekly|monthly|yearly|annually)|[^ =]+( +[^ =]+){4})$')",message="give five fields, as in a CronJob, such as 0 7 * * 1-5, and the time zone in timeZone"
	Cron string `json:"cron"`

	// TimeZone is the time zone by its name, such as Europe/Berlin: UTC if
	// absent.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9_+/-]+$`
	TimeZone string `json:"timeZone,omitempty"`
}

// TriggerAlertmanager is which notifications ask.
type TriggerAlertmanager struct {
	// Resolved asks about alerts that are over, too.
	//
	// +optional
	Resolved bool `json:"resolved,omitempty"`
}

// AgentTriggerStatus is what has become of a trigger.
type AgentTriggerStatus struct {
	// ObservedGeneration is the generation of the spec that the status is of.
	//
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions say how it stands. Ready: it would ask.
	//
	// +optional
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=16
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// LastRun is the run that it began last.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=253
	LastRun string `json:"lastRun,omitempty"`

	// LastRunAt is when it began it.
	//
	// +optional
	LastRunAt *metav1.Time `json:"lastRunAt,omitempty"`

	// NextRunAt is when it is due again, of a schedule.
	//
	// +optional
	NextRunAt *metav1.Time `json:"nextRunAt,omitempty"`

	// Counts are what became of what came in.
	//
	// +optional
	Counts TriggerCounts `json:"counts,omitzero"`

	// Recent are what runs began about of late, the latest last.
	//
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=100
	Recent []TriggerRecent `json:"recent,omitempty"`
}

// TriggerCounts are what became of what came in.
type TriggerCounts struct {
	// Received is how many alerts, or times that were due, came in.
	//
	// +optional
	Received int64 `json:"received,omitempty"`

	// Filtered is how many of them the filter sorted out.
	//
	// +optional
	Filtered int64 `json:"filtered,omitempty"`

	// Deduplicated is how many joined a run that was under way.
	//
	// +optional
	Deduplicated int64 `json:"deduplicated,omitempty"`

	// Cooled is how many came too soon after the last run about the same, or
	// while there were as many runs as there may be.
	//
	// +optional
	Cooled int64 `json:"cooled,omitempty"`

	// Started is how many runs began.
	//
	// +optional
	Started int64 `json:"started,omitempty"`
}

// TriggerRecent is what a run began about.
type TriggerRecent struct {
	// Key is what the trigger knows repeated alerts by.
	//
	// +required
	// +kubebuilder:validation:MaxLength=1024
	Key string `json:"key"`

	// Run is the run's name.
	//
	// +required
	// +kubebuilder:validation:MaxLength=253
	Run string `json:"run"`

	// At is when it began.
	//
	// +required
	At metav1.Time `json:"at"`
}

// AgentTriggerList is a list of triggers.
//
// +kubebuilder:object:root=true
type AgentTriggerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AgentTrigger `json:"items"`
}
