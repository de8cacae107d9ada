package run

import (
	"context"
	"fmt"

	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Terminal is the gate of a person who sits at the program.
type Terminal struct {
	Ask toolbox.Ask
}

// Decide implements [Gate]: it asks, and waits for the answer.
func (t Terminal) Decide(ctx context.Context, r GateRequest) (GateAnswer, error) {
	yes, err := t.Ask(ctx, fmt.Sprintf("Call %s?\n\n%s", r.Tool.Name, r.Plan))
	switch {
	case err != nil:
		return GateAnswer{}, fmt.Errorf("ask at the terminal: %w", err)
	case yes:
		return GateAnswer{State: v1alpha1.DecisionApproved}, nil
	}
	return GateAnswer{State: v1alpha1.DecisionDenied}, nil
}
