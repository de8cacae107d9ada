package runs

import (
	"cmp"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Bounds of a status, in bytes, as the type has them.
const (
	mostMessage = 1000
	mostAnswer  = 128 << 10
)

// describe writes into a status how a run stands.
func describe(s *v1alpha1.AgentRunStatus, now *run.State, prices declared.Prices) {
	s.Phase = cmp.Or(now.Phase, v1alpha1.RunRunning)
	s.Turns, s.ToolCalls, s.Tokens = int32(len(now.Turns)), int32(now.ToolCalls), now.Usage
	if cost, known := prices.Cost(now.Usage); known {
		s.CostUSD = declared.Dollars(cost)
	}
	s.Asked = now.Asked
	if s.Phase.Final() {
		s.Answer = cut(now.Answer(), mostAnswer)
	}
	s.Message = cut(message(now, s.Phase), mostMessage)
	s.TraceID = now.TraceID()
	s.StartedAt, s.FinishedAt = moment(now.Started), moment(now.Ended)
	s.Approvals = now.Approvals()
}

// message says how a run stands in a line.
func message(now *run.State, phase v1alpha1.RunPhase) string {
	if wait, waits := now.Waiting(); waits && !phase.Final() {
		return line(cmp.Or(wait.Reason, "a person must decide about "+wait.Tool))
	}
	if phase.Final() {
		return line(cmp.Or(now.Reason, now.Answer()))
	}
	if n := len(now.Turns); n > 0 {
		for _, c := range now.Turns[n-1].Calls {
			if !c.Done {
				return "calls " + c.Tool
			}
		}
	}
	return "thinks"
}

func line(text string) string { return strings.Join(strings.Fields(text), " ") }

// cut is the beginning of a text that may be too long, with whole characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most-len("…")], "") + "…"
}

func moment(t time.Time) *metav1.Time {
	if t.IsZero() {
		return nil
	}
	at := metav1.NewTime(t)
	return &at
}
