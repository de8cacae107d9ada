package remotemcpserver

import (
	"fmt"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/outcome"
)

// report sets the status. Tools that were found before stay while the server
// cannot be asked: it may be back before anybody needs it.
func report(s *kagent.RemoteMCPServer, w *way, tools []kagent.MCPTool, err error) {
	s.Status.ObservedGeneration = s.Generation
	if w != nil {
		s.Status.SecretHash = w.hash
	}
	if err == nil {
		s.Status.DiscoveredTools = tools
	}
	outcome.Set(&s.Status.Conditions, s.Generation, outcome.Accepted, err, "Discovered", counted(tools))
}

func counted(tools []kagent.MCPTool) string {
	count := map[kagent.ToolClass]int{}
	for _, t := range tools {
		count[t.Class]++
	}
	return fmt.Sprintf("%d tools: %d read, %d write, %d destroy", len(tools), count[kagent.ClassRead], count[kagent.ClassWrite], count[kagent.ClassDestroy])
}
