package helm

import (
	"testing"

	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

// Helm keeps releases in Secrets: nobody can look at one without reading them.
func TestContract(t *testing.T) {
	mcptest.Contract(t, func(ts *mcpkit.Toolset) { Register(ts, New(Config{})) }, "secrets")
}
