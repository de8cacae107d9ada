package runs_test

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// TestTheFirstRunsOfADay holds that of more runs than a day may have, all asked
// before the first was worked on, it is the first that are.
func TestTheFirstRunsOfADay(t *testing.T) {
	for name, make := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, s := make(t)
			a.Limits.RunsPerDay = 2
			var asked []string
			for range 5 {
				asked = append(asked, ask(t, s, "Is all well?").Name)
			}
			before := map[int]int{}
			for _, name := range asked {
				spent, err := s.Spent(t.Context(), name)
				require.NoError(t, err)
				before[spent.Runs]++
			}
			require.Equal(t, map[int]int{0: 1, 1: 1, 2: 1, 3: 1, 4: 1}, before, "each has its place")
			works(t, s, a, says("All is well."), &shelf{})
			phases := map[v1alpha1.RunPhase]int{}
			for _, name := range asked {
				phases[until(t, s, name, over).Status.Phase]++
			}
			require.Equal(t, map[v1alpha1.RunPhase]int{v1alpha1.RunCompleted: 2, v1alpha1.RunStopped: 3}, phases)
		})
	}
}

// TestWhatAgentsTakeCountsForTheDay holds that what a run has agents do is in its
// status, and in what the day took.
func TestWhatAgentsTakeCountsForTheDay(t *testing.T) {
	for name, make := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, s := make(t)
			asked := v1alpha1.AskedUsage{Questions: 1, Unstated: 1, Tokens: 5000, CostUSD: "0.25"}
			tools := &shelf{call: func(context.Context, toolbox.Tool, toolbox.Call) (toolbox.Outcome, error) {
				return toolbox.Outcome{Text: "it is the disk", Asked: &asked}, nil
			}}
			r := ask(t, s, "Is all well?")
			works(t, s, a, says("All is well."), tools)
			r = until(t, s, r.Name, over)
			require.Equal(t, asked, r.Status.Asked)
			spent, err := s.Spent(t.Context(), "")
			require.NoError(t, err)
			require.Equal(t, run.Spent{Runs: 1, ToolCalls: 1, Tokens: 7200, Cost: 0.254}, spent)
		})
	}
}

// TestARunTakesNoMoreThanWhoeverAskedHasLeft holds that the run is held to that
// by whatever process finds it.
func TestARunTakesNoMoreThanWhoeverAskedHasLeft(t *testing.T) {
	for name, make := range stores(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, s := make(t)
			held := v1alpha1.AgentRun{Spec: v1alpha1.AgentRunSpec{Prompt: "Is all well?"}}
			held.Annotations = map[string]string{runs.TokensAnnotation: "100", runs.DollarsAnnotation: "5"}
			r, err := s.Create(t.Context(), held)
			require.NoError(t, err)
			works(t, s, a, says("All is well."), &shelf{})
			r = until(t, s, r.Name, over)
			require.Equal(t, v1alpha1.RunStopped, r.Status.Phase)
			require.Equal(t, "the 100 tokens are used up that whoever asked had left", r.Status.Message)
		})
	}
}

func TestARecordThatCannotBeRead(t *testing.T) {
	t.Parallel()
	a := declared.Agent{Agent: kagent.Agent{ObjectMeta: metav1.ObjectMeta{Namespace: "home", Name: "sre"}}}
	path := t.TempDir()
	s, err := runs.OpenDirectory(a, path)
	require.NoError(t, err)
	broken := ask(t, s, "Is all well?")
	require.NoError(t, os.WriteFile(filepath.Join(path, broken.Name+".events"), []byte("{}\n{}\n"), 0o600))
	other := ask(t, s, "And now?")
	works(t, s, a, says("All is well."), &shelf{})
	require.Equal(t, v1alpha1.RunCompleted, until(t, s, other.Name, over).Status.Phase, "others go on")
	_, err = s.Spent(t.Context(), "")
	require.ErrorContains(t, err, "read run "+broken.Name+": line 1 is not an event of a run", "what it took is not known")
}
