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
	buildProgram := func(module, program string) {
		build := exec.CommandContext(t.Context(), "go", "-C", filepath.Join("..", module), "build", "-o", programs, "./cmd/"+program)
		out, err := build.CombinedOutput()
		require.NoError(t, err, string(out))
	}
	for _, server := range servers {
		buildProgram("servers/"+server, server+"-mcp")
	}
	buildProgram("controller", "controller")
	eachRelease(t, func(t *testing.T, name string, r rendered) {
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
			require.Contains(t, string(out), "--log-level")
			started++
		}
		require.True(t, started > 0 || strings.HasPrefix(name, "agents-"))
	})
}
