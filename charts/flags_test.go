package charts

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheServersTakeTheirArguments hands every container's arguments to the
// server itself. That it is asked for help keeps it from starting, not from
// refusing what it does not know.
func TestTheServersTakeTheirArguments(t *testing.T) {
	programs := t.TempDir()
	for _, server := range servers {
		build := exec.CommandContext(t.Context(), "go", "-C", filepath.Join("..", "servers", server), "build", "-o", programs, "./cmd/"+server+"-mcp")
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	eachRelease(t, func(t *testing.T, _ string, r rendered) {
		started := 0
		for _, o := range objects(t, r.manifest) {
			if o["kind"] != "Deployment" {
				continue
			}
			container := at[[]any](o, "spec", "template", "spec", "containers")[0].(object)
			var args []string
			for _, arg := range at[[]any](container, "args") {
				args = append(args, arg.(string))
			}
			program := filepath.Join(programs, at[string](container, "name"))
			out, err := exec.CommandContext(t.Context(), program, append(args, "--help")...).CombinedOutput()
			require.NoError(t, err, string(out))
			require.True(t, strings.HasPrefix(string(out), "Serves "), string(out))
			started++
		}
		require.NotZero(t, started)
	})
}
