package locks

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// attempts bounds how often a request that others got in the way of is tried
// again.
const attempts = 10

// maxWaiting bounds how many undecided approvals one caller may have.
const maxWaiting = 20

// Consume implements [mcpkit.Approvals] with Approval objects. That one of many
// wins is the API server's doing: each writes to the version it has seen, and
// an object of one name can be made once.
func (l *Locks) Consume(ctx context.Context, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	try := attempt{Locks: l, r: r}
	var err error
	for range attempts {
		if try.kept, err = l.listed(ctx, try.live(requestLabel, request(r))); err != nil {
			break
		}
		var a mcpkit.Approval
		if a, err = try.settle(ctx); err == nil {
			return a, nil
		}
		if !moved(err) {
			break
		}
	}
	return mcpkit.Approval{}, l.refused(err, try.tried)
}

// attempt is one call's way to its approval.
type attempt struct {
	*Locks
	r     mcpkit.ApprovalRequest
	kept  []v1alpha1.Approval // of the same call, whatever its plan
	tried string              // name of the approval it tried to use up
}

// settle finds the approval that the call may use, or asks for one. A person's
// no counts for more than another's yes.
func (t *attempt) settle(ctx context.Context) (mcpkit.Approval, error) {
	found := map[standing]v1alpha1.Approval{}
	for _, a := range t.kept {
		found[t.standing(a)] = a
	}
	if a, ok := found[ours]; ok {
		return answer(a, mcpkit.ApprovalConsumed), nil
	}
	if a, ok := found[denied]; ok {
		return answer(a, mcpkit.ApprovalDenied), nil
	}
	if a, ok := found[used]; ok && a.Name == t.tried {
		return answer(a, mcpkit.ApprovalTaken), nil
	}
	if a, ok := found[usurped]; ok {
		return mcpkit.Approval{}, mcpkit.Errorf(mcpkit.Denied, "%s is said to have approved this (approval %s), and neither a ServiceAccount nor the caller itself can. Nothing was changed. Tell whoever runs the cluster: the admission policy of charts/locks prevents that where it is installed", a.Status.DecidedBy, nameOf(a))
	}
	if a, ok := t.awaited(); ok && a.Status.ConsumedBy != "" {
		return answer(a, mcpkit.ApprovalTaken), nil
	}
	if a, ok := found[approved]; ok {
		if t.r.Awaits != "" && t.r.Awaits != nameOf(a) {
			return t.instead(found, answer(a, mcpkit.ApprovalPending)), nil
		}
		return t.consume(ctx, a)
	}
	if a, ok := found[pending]; ok {
		return t.instead(found, answer(a, mcpkit.ApprovalPending)), nil
	}
	made, err := t.ask(ctx)
	return t.instead(found, made), err
}

// awaited is the approval that the client was told to wait for.
func (t *attempt) awaited() (v1alpha1.Approval, bool) {
	i := slices.IndexFunc(t.kept, func(a v1alpha1.Approval) bool { return nameOf(a) == t.r.Awaits })
	if i < 0 {
		return v1alpha1.Approval{}, false
	}
	return t.kept[i], true
}

// standing is how a kept approval stands towards a call.
type standing int

const (
	gone     standing = iota // expired, taken back, or of another plan or call and undecided
	late                     // approved for exactly this, and expired
	stale                    // approved, and of another plan or call
	used                     // by another call
	ours                     // used by this call
	pending                  // for a decision
	approved                 // for exactly this
	usurped                  // approved by somebody who is not let decide
	denied                   // for exactly this
)

func (t *attempt) standing(a v1alpha1.Approval) standing {
	yes := a.Status.Decision == v1alpha1.DecisionApproved
	same := matches(a.Spec, t.r)
	switch {
	case a.Status.ConsumedAt != nil || a.Status.ConsumedBy != "":
		switch {
		case same && yes && a.Status.ConsumedBy == t.r.Call:
			return ours
		case same && yes:
			return used
		}
		return gone
	case !a.Spec.ExpiresAt.After(t.clock.Now()):
		if same && yes && mayDecide(a.Status.DecidedBy, t.r.Caller) {
			return late
		}
		return gone
	case a.DeletionTimestamp != nil && a.Status.Decision != v1alpha1.DecisionDenied:
		return gone // decisions are final, so whoever takes a yes back deletes it; a finalizer may keep the object
	case !same && yes:
		return stale
	case !same:
		return gone
	case a.Status.Decision == v1alpha1.DecisionDenied:
		return denied
	case !yes:
		return pending
	case !mayDecide(a.Status.DecidedBy, t.r.Caller):
		return usurped
	}
	return approved
}

// mayDecide repeats what the admission policy of charts/locks demands, in case
// it is missing.
func mayDecide(person, caller string) bool {
	return person != "" && person != caller && !strings.HasPrefix(person, "system:serviceaccount:")
}

// matches reports whether what a person read is r, whoever wrote it down.
func matches(s v1alpha1.ApprovalSpec, r mcpkit.ApprovalRequest) bool {
	return s.Server == r.Server && s.Tool == r.Tool && s.Caller == r.Caller && s.Target == r.Target &&
		s.Arguments == r.Arguments && s.ArgumentsHash == r.ArgumentsHash && s.Plan == r.Plan && s.PlanHash == r.PlanHash
}

// instead says of a pending approval which earlier one it replaces.
func (t *attempt) instead(found map[standing]v1alpha1.Approval, a mcpkit.Approval) mcpkit.Approval {
	if earlier, ok := found[stale]; ok {
		a.Earlier, a.Fate = nameOf(earlier), mcpkit.ApprovalStale
	} else if earlier, ok := found[used]; ok {
		a.Earlier, a.Fate = nameOf(earlier), mcpkit.ApprovalUsed
	} else if earlier, ok := found[late]; ok {
		a.Earlier, a.Fate = nameOf(earlier), mcpkit.ApprovalLate
	}
	return a
}

// consume uses the approval up. An error may come after the API server did it:
// the next look tells, since the object names the call that used it.
func (t *attempt) consume(ctx context.Context, a v1alpha1.Approval) (mcpkit.Approval, error) {
	now := metav1.NewTime(t.clock.Now())
	a.Status.ConsumedAt, a.Status.ConsumedBy = &now, t.r.Call
	t.tried = a.Name
	err := t.approvals.Put().Namespace(a.Namespace).Resource("approvals").Name(a.Name).SubResource("status").Body(&a).Do(ctx).Error()
	if apierrors.IsNotFound(err) { // somebody has just deleted it
		err = errMoved
	}
	return answer(a, mcpkit.ApprovalConsumed), err
}

// ask makes the approval that the call needs. Its name is found before it is
// looked once more whether another replica has made one, so that of all who ask
// at the same time each either sees that one or wants its name.
func (t *attempt) ask(ctx context.Context) (mcpkit.Approval, error) {
	r := t.r
	n, err := t.number(ctx)
	if err != nil {
		return mcpkit.Approval{}, err
	}
	others, err := t.listed(ctx, t.live(callerLabel, short(r.Caller)))
	if err != nil {
		return mcpkit.Approval{}, err
	}
	if slices.ContainsFunc(others, t.counts) {
		return mcpkit.Approval{}, errMoved
	}
	if err := t.tooMany(others); err != nil {
		return mcpkit.Approval{}, err
	}
	a := v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{
			Name:        fmt.Sprintf("%s-%s-%d", objectName(r.Tool), request(r)[:8], n),
			Labels:      map[string]string{requestLabel: request(r), callerLabel: short(r.Caller), hourLabel: hour(r.Expires)},
			Annotations: map[string]string{keyAnnotation: r.Key},
		},
		Spec: v1alpha1.ApprovalSpec{
			Server: r.Server, Tool: r.Tool, Caller: r.Caller, Agent: r.Agent, Run: r.Run, Target: r.Target,
			Arguments: r.Arguments, ArgumentsHash: r.ArgumentsHash, Plan: r.Plan, PlanHash: r.PlanHash,
			ExpiresAt: metav1.NewTime(r.Expires),
		},
	}
	err = t.approvals.Post().Namespace(t.namespace).Resource("approvals").Body(&a).Do(ctx).Into(&a)
	made := answer(a, mcpkit.ApprovalPending)
	if i := slices.IndexFunc(others, t.otherKey); i >= 0 {
		made.Earlier, made.Fate = nameOf(others[i]), mcpkit.ApprovalOtherKey
	}
	return made, err
}

// objectName is a tool's name in the letters of Kubernetes. Tools of other
// people's servers may have others.
func objectName(tool string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(tool))
	return cmp.Or(strings.Trim(name, "-"), "tool")
}

// counts reports whether the next look at what is kept finds a to go by.
func (t *attempt) counts(a v1alpha1.Approval) bool {
	return a.Labels[requestLabel] == request(t.r) && t.standing(a) >= pending
}

// tooMany refuses to ask for what nobody could keep up with.
func (t *attempt) tooMany(others []v1alpha1.Approval) error {
	var waiting []string
	for _, a := range others {
		if t.undecided(a) {
			waiting = append(waiting, fmt.Sprintf("%s (%s)", nameOf(a), a.Spec.Target))
		}
	}
	if len(waiting) < maxWaiting {
		return nil
	}
	return mcpkit.Errorf(mcpkit.Denied, "%d writes that %s asked for wait for a decision already, and %d may at once. Nothing was changed and nobody was asked about this one. Have some of them decided, or wait until they expire:\n- %s",
		len(waiting), t.r.Caller, maxWaiting, strings.Join(waiting[:maxWaiting], "\n- "))
}

func (t *attempt) undecided(a v1alpha1.Approval) bool {
	return (a.Status.Decision == "" || a.Status.Decision == v1alpha1.DecisionPending) && a.Spec.ExpiresAt.After(t.clock.Now())
}

// otherKey reports whether a was made for what looks like the same call, by a
// server that can make nothing of our hashes, nor we of its.
func (t *attempt) otherKey(a v1alpha1.Approval) bool {
	return a.Annotations[keyAnnotation] != t.r.Key && a.Status.ConsumedAt == nil && a.Spec.ExpiresAt.After(t.clock.Now()) &&
		a.Spec.Server == t.r.Server && a.Spec.Tool == t.r.Tool && a.Spec.Caller == t.r.Caller && a.Spec.Target == t.r.Target
}

// answer is a as it stands.
func answer(a v1alpha1.Approval, state mcpkit.ApprovalState) mcpkit.Approval {
	return mcpkit.Approval{
		Name: nameOf(a), State: state, DecidedBy: a.Status.DecidedBy, Reason: a.Status.Reason, Expires: a.Spec.ExpiresAt.Time,
		Command: fmt.Sprintf(`kubectl -n %s patch approvals.toolcrib.dev %s --subresource=status --type=merge -p "status: {decision: Approved, decidedBy: '$(kubectl auth whoami -o jsonpath={.status.userInfo.username})'}"`, a.Namespace, a.Name),
	}
}

func nameOf(a v1alpha1.Approval) string { return a.Namespace + "/" + a.Name }
