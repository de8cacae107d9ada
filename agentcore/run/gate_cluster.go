package run

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Cluster is the gate of an agent in a cluster: it keeps an Approval in the
// agent's namespace for each call, for whoever may decide there.
type Cluster struct {
	Approvals mcpkit.Approvals // as package locks opens them
	Namespace string           // of the agent
	Agent     string           // its name
	Caller    string           // the user that the agent is in the cluster, who cannot decide
}

// Bounds of what a person is asked to approve, in bytes, as the type has them.
const (
	mostPlan  = 64 << 10
	mostShown = 256 << 10
)

// Decide implements [Gate]. An approval is good for one call of one run: the
// same call in another run is decided about anew.
func (c Cluster) Decide(ctx context.Context, r GateRequest) (GateAnswer, error) {
	if len(r.Plan) > mostPlan || len(r.Shown) > mostShown {
		return GateAnswer{}, fmt.Errorf("the arguments take %d bytes, more than a person can be asked to approve at once; change less per call", len(r.Shown))
	}
	a, err := c.Approvals.Consume(ctx, c.request(r))
	if err != nil {
		return GateAnswer{}, err
	}
	out := GateAnswer{Approval: a.Name, Command: a.Command, By: a.DecidedBy, Reason: a.Reason}
	switch a.State {
	case mcpkit.ApprovalConsumed:
		out.State = v1alpha1.DecisionApproved
	case mcpkit.ApprovalPending:
		out.State = v1alpha1.DecisionPending
	case mcpkit.ApprovalDenied:
		out.State = v1alpha1.DecisionDenied
	default:
		return GateAnswer{}, fmt.Errorf("approval %s was used for another call at this moment, so this one was not made", a.Name)
	}
	return out, nil
}

func (c Cluster) request(r GateRequest) mcpkit.ApprovalRequest {
	server := "agentcore/" + c.Agent
	call := []string{server, r.Tool.Server, r.Tool.Remote, c.Caller, r.Run, r.Exact}
	return mcpkit.ApprovalRequest{
		Server: server, Tool: r.Tool.Name, Caller: c.Caller,
		Agent: c.Namespace + "/" + c.Agent, Run: r.Run, Call: r.Run + "/" + r.Call,
		Target:    fmt.Sprintf("%s of %s", r.Tool.Remote, r.Tool.Server),
		Arguments: r.Shown, ArgumentsHash: keyed(r.Seed, call),
		Plan: r.Plan, PlanHash: keyed(r.Seed, append(call, r.Plan)),
		Key: keyed(r.Seed, []string{"key"})[:8], Expires: r.Expires,
	}
}

// keyed binds an approval to what is given. The key is the run's own, since
// what is redacted elsewhere could be guessed and tried on a plain hash.
func keyed(seed string, parts []string) string {
	text, _ := json.Marshal(parts) // strings always encode
	m := hmac.New(sha256.New, derive(seed, "approval"))
	m.Write(text)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}
