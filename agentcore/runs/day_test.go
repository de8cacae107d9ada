package runs_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/runs"
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
