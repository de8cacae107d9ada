package declared

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// What a run is held to of which no policy says anything.
const (
	DefaultTurns           = 50
	DefaultDuration        = 30 * time.Minute
	DefaultApprovalTimeout = time.Hour
)

// accesses, from little to much.
var accesses = []v1alpha1.Access{v1alpha1.AccessReadOnly, v1alpha1.AccessApprove, v1alpha1.AccessWrite}

// checkPolicy does for a policy in a file what the API server does for one in a
// cluster.
func checkPolicy(p *v1alpha1.AgentPolicy) error {
	var problems []error
	add := func(path, format string, args ...any) {
		problems = append(problems, fmt.Errorf(path+": "+format, args...))
	}
	s := &p.Spec
	s.Access = cmp.Or(s.Access, v1alpha1.AccessReadOnly)
	if !slices.Contains(accesses, s.Access) {
		add("spec.access", "%q is no access; write ReadOnly, Approve or Write", s.Access)
	}
	if _, err := metav1.LabelSelectorAsSelector(&s.AgentSelector); err != nil {
		add("spec.agentSelector", "%w", err)
	}
	if t := s.ApprovalTimeout; t != nil && (t.Duration <= 0 || t.Duration > 24*time.Hour) {
		add("spec.approvalTimeout", "give more than 0s and at most 24h")
	}
	if t := s.PerRun.Duration; t != nil && t.Duration <= 0 {
		add("spec.perRun.duration", "give more than 0s")
	}
	for path, d := range map[string]*v1alpha1.Dollars{"spec.perRun.costUSD": s.PerRun.CostUSD, "spec.perDay.costUSD": s.PerDay.CostUSD} {
		if _, err := dollars(d); err != nil {
			add(path, "%w", err)
		}
	}
	return errors.Join(problems...)
}

// Dollars is an amount of US dollars to the millionth.
func Dollars(amount float64) v1alpha1.Dollars {
	text := strconv.FormatFloat(min(max(amount, 0), mostDollars), 'f', 6, 64)
	return v1alpha1.Dollars(strings.TrimRight(strings.TrimRight(text, "0"), "."))
}

// mostDollars is the most that an amount is written as.
const mostDollars = 999_999_999

// Amount is an amount of US dollars that a program has written; 0 if it is none.
func Amount(d v1alpha1.Dollars) float64 {
	amount, _ := dollars(&d)
	return min(amount, mostDollars)
}

func dollars(d *v1alpha1.Dollars) (float64, error) {
	if d == nil {
		return 0, nil
	}
	v, err := strconv.ParseFloat(string(*d), 64)
	if err != nil || v < 0 || strings.ContainsAny(string(*d), "eExXnN") {
		return 0, fmt.Errorf("%q is no amount of US dollars; write one such as \"0.25\"", *d)
	}
	return v, nil
}

// limits are the tightest of all policies that hold the agent of these labels.
func (d *Directory) limits(namespace string, of map[string]string) Limits {
	l := Limits{}
	for _, k := range sorted(d.policies) {
		p := d.policies[k].value
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.AgentSelector)
		if err != nil || k.namespace != namespace || !selector.Matches(labels.Set(of)) {
			continue // the error has been told when it was read
		}
		l.tighten(p.Spec)
	}
	l.Access = cmp.Or(l.Access, v1alpha1.AccessApprove)
	l.ApprovalTimeout = cmp.Or(l.ApprovalTimeout, DefaultApprovalTimeout)
	l.Turns = cmp.Or(l.Turns, DefaultTurns)
	l.Duration = cmp.Or(l.Duration, DefaultDuration)
	return l
}

func (l *Limits) tighten(s v1alpha1.AgentPolicySpec) {
	if l.Access == "" || slices.Index(accesses, s.Access) < slices.Index(accesses, l.Access) {
		l.Access = s.Access
	}
	l.ApprovalTimeout = shorter(l.ApprovalTimeout, s.ApprovalTimeout)
	l.Duration = shorter(l.Duration, s.PerRun.Duration)
	l.Turns = lower(l.Turns, s.PerRun.Turns)
	l.ToolCalls = lower(l.ToolCalls, s.PerRun.ToolCalls)
	l.Tokens = lower(l.Tokens, s.PerRun.Tokens)
	l.Cost = lowerCost(l.Cost, s.PerRun.CostUSD)
	l.RunsPerDay = lower(l.RunsPerDay, s.PerDay.Runs)
	l.ToolCallsPerDay = lower(l.ToolCallsPerDay, s.PerDay.ToolCalls)
	l.TokensPerDay = lower(l.TokensPerDay, s.PerDay.Tokens)
	l.CostPerDay = lowerCost(l.CostPerDay, s.PerDay.CostUSD)
}

func shorter(limit time.Duration, policy *metav1.Duration) time.Duration {
	if policy == nil || limit != 0 && limit < policy.Duration {
		return limit
	}
	return policy.Duration
}

// None is a limit that lets nothing through, where 0 stands for no limit.
const None = -1

// lower is the lower of a limit, of which 0 is none, and a policy's.
func lower[L int | int64, P int32 | int64](limit L, policy *P) L {
	if policy == nil {
		return limit
	}
	l := L(*policy)
	if l == 0 {
		l = None
	}
	if limit == 0 {
		return l
	}
	return min(limit, l)
}

func lowerCost(limit float64, policy *v1alpha1.Dollars) float64 {
	if policy == nil {
		return limit
	}
	cost, err := dollars(policy)
	if err != nil || cost == 0 {
		cost = None
	}
	if limit == 0 {
		return cost
	}
	return min(limit, cost)
}
