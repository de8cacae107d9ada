package locks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// requestLabel marks the approvals of one call, whatever its plan: the same
// caller, tool and arguments.
const requestLabel = "toolcrib.dev/request"

// attempts bounds how often a request that another replica got in the way of is
// tried again.
const attempts = 10

// Consume implements [mcpkit.Approvals] with Approval objects. That one of many
// wins is the API server's doing: each writes to the version it has seen.
func (l *Locks) Consume(ctx context.Context, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	for range attempts {
		kept, err := l.approvalsOf(ctx, r)
		if err != nil {
			return mcpkit.Approval{}, unavailable(err, "look for approvals")
		}
		a, err := l.settle(ctx, kept, r)
		switch {
		case err == nil:
			return a, nil
		case !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err):
			return mcpkit.Approval{}, unavailable(err, "keep an approval")
		}
	}
	return mcpkit.Approval{}, mcpkit.Errorf(mcpkit.Conflict, "too many calls ask for this approval at once; nothing was changed, try again in a few seconds")
}

// settle finds among kept the approval that r may use, or asks for one.
func (c *cluster) settle(ctx context.Context, kept []v1alpha1.Approval, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	stale := false
	for _, a := range kept {
		if a.Status.ConsumedAt != nil || !a.Spec.ExpiresAt.After(time.Now()) {
			continue
		}
		if !matches(a.Spec, r) {
			stale = stale || a.Status.Decision == v1alpha1.DecisionApproved
			continue
		}
		if a.Status.Decision == v1alpha1.DecisionApproved {
			return c.consume(ctx, a, r)
		}
		return answer(a, false), nil
	}
	made, err := c.ask(ctx, kept, r)
	return answer(made, stale), err
}

// consume uses the approval up.
func (c *cluster) consume(ctx context.Context, a v1alpha1.Approval, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	now := metav1.Now()
	a.Status.ConsumedAt, a.Status.ConsumedBy = &now, r.Call
	err := c.approvals.Put().Namespace(a.Namespace).Resource("approvals").Name(a.Name).SubResource("status").Body(&a).Do(ctx).Error()
	return answer(a, false), err
}

// ask makes the approval that r needs.
func (c *cluster) ask(ctx context.Context, kept []v1alpha1.Approval, r mcpkit.ApprovalRequest) (v1alpha1.Approval, error) {
	a := v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{
			Name:   fmt.Sprintf("%s-%s-%d", strings.ReplaceAll(r.Tool, "_", "-"), request(r)[:8], next(kept)),
			Labels: map[string]string{requestLabel: request(r)},
		},
		Spec: v1alpha1.ApprovalSpec{
			Server: r.Server, Tool: r.Tool, Caller: r.Caller, Agent: r.Agent, Run: r.Run, Target: r.Target,
			Arguments: string(r.Arguments), ArgumentsHash: r.ArgumentsHash, Plan: r.Plan, PlanHash: r.PlanHash,
			ExpiresAt: metav1.NewTime(r.Expires),
		},
	}
	err := c.approvals.Post().Namespace(c.namespace).Resource("approvals").Body(&a).Do(ctx).Into(&a)
	return a, err
}

// next is a number that none of kept has.
func next(kept []v1alpha1.Approval) int {
	most := 0
	for _, a := range kept {
		if n, err := strconv.Atoi(a.Name[strings.LastIndex(a.Name, "-")+1:]); err == nil {
			most = max(most, n)
		}
	}
	return most + 1
}

func (c *cluster) approvalsOf(ctx context.Context, r mcpkit.ApprovalRequest) ([]v1alpha1.Approval, error) {
	var list v1alpha1.ApprovalList
	err := c.approvals.Get().Namespace(c.namespace).Resource("approvals").
		Param("labelSelector", requestLabel+"="+request(r)).Do(ctx).Into(&list)
	return list.Items, err
}

// request names the call of r as a label can.
func request(r mcpkit.ApprovalRequest) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.Server, r.Caller, r.Tool, r.ArgumentsHash}, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// matches reports whether what a person read is r, whoever wrote it down.
func matches(s v1alpha1.ApprovalSpec, r mcpkit.ApprovalRequest) bool {
	return s.Server == r.Server && s.Tool == r.Tool && s.Caller == r.Caller && s.Target == r.Target &&
		s.Arguments == string(r.Arguments) && s.ArgumentsHash == r.ArgumentsHash && s.Plan == r.Plan && s.PlanHash == r.PlanHash
}

// answer says how a stands.
func answer(a v1alpha1.Approval, stale bool) mcpkit.Approval {
	state := mcpkit.ApprovalPending
	switch {
	case a.Status.ConsumedAt != nil:
		state = mcpkit.ApprovalConsumed
	case a.Status.Decision == v1alpha1.DecisionDenied:
		state = mcpkit.ApprovalDenied
	}
	return mcpkit.Approval{
		Name: a.Namespace + "/" + a.Name, State: state, DecidedBy: a.Status.DecidedBy, Reason: a.Status.Reason,
		Expires: a.Spec.ExpiresAt.Time, Stale: stale,
		Command: fmt.Sprintf(`kubectl -n %s patch approval %s --subresource=status --type=merge -p '{"status":{"decision":"Approved","decidedBy":"'$(kubectl auth whoami -o jsonpath={.status.userInfo.username})'"}}'`, a.Namespace, a.Name),
	}
}
