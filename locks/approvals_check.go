package locks

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// policyRefuses is how the API server words a refusal by the policy of
// charts/locks.
const policyRefuses = "ValidatingAdmissionPolicy 'approvals.toolcrib.dev'"

// CheckApprovals implements [mcpkit.Locks]. A server may not read policies, so
// it tries, without keeping it, what the policy of charts/locks refuses and the
// type alone does not: an approval for more than a day.
func (l *Locks) CheckApprovals(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	const some = "check"
	long := v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "check-"},
		Spec: v1alpha1.ApprovalSpec{
			Server: some, Tool: some, Caller: some, Agent: some, Target: some,
			Arguments: "{}", ArgumentsHash: some, Plan: some, PlanHash: some,
			ExpiresAt: metav1.NewTime(l.clock.Now().Add(48 * time.Hour)),
		},
	}
	err := l.approvals.Post().Namespace(l.namespace).Resource("approvals").Param("dryRun", metav1.DryRunAll).Body(&long).Do(ctx).Error()
	switch {
	case err == nil:
		return errors.New("the policy approvals.toolcrib.dev of charts/locks is not installed, or not bound: whoever may update approvals.toolcrib.dev/status can approve any write, in anybody's name")
	case strings.Contains(err.Error(), policyRefuses):
		return nil
	}
	return l.refused(err, "")
}
