package prometheus

import (
	"testing"

	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

func TestContract(t *testing.T) {
	mcptest.Contract(t, func(ts *mcpkit.Toolset) { Register(ts, New(Config{})) })
}
