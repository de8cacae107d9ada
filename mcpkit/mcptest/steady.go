package mcptest

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// undecided are approvals that nobody decides about.
type undecided struct{ asked []mcpkit.ApprovalRequest }

func (u *undecided) Consume(_ context.Context, r mcpkit.ApprovalRequest) (mcpkit.Approval, error) {
	r.Call, r.Expires = "", time.Time{}
	u.asked = append(u.asked, r)
	return mcpkit.Approval{State: mcpkit.ApprovalPending}, nil
}

// RequireSteady requires that a write asks for the very same approval when it
// is called again in another second: no approval would ever fit one whose plan
// tells the time or a random value. It leaves the write undone.
func RequireSteady(t testing.TB, ts *mcpkit.Toolset, tool string, args map[string]any) {
	t.Helper()
	var u undecided
	s := Connect(t, ts, mcpkit.Options{Name: "steady", Access: mcpkit.AccessWrite, Gate: mcpkit.GateApproval, Approvals: &u}, nil)
	for turn := range 2 {
		if turn > 0 {
			<-time.After(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		}
		a := s.Call(tool, args)
		require.Len(t, u.asked, turn+1, a.Text)
	}
	require.Equal(t, u.asked[0], u.asked[1])
}
