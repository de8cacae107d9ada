package remotemcpserver

import (
	"fmt"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/labels"
	"github.com/toolcrib/toolcrib/controller/outcome"
	"k8s.io/apimachinery/pkg/api/meta"
)

// GatesWrites says whether agents leave it to the server to have a person decide
// about each of its writes.
const GatesWrites = "GatesWrites"

// report sets the status. What was found before stays while the server cannot be
// asked: it may be back before anybody needs it.
func report(s *kagent.RemoteMCPServer, w *way, f *found, err error) {
	s.Status.ObservedGeneration = s.Generation
	if w != nil {
		s.Status.SecretHash = w.hash
	}
	message := ""
	if err == nil {
		s.Status.DiscoveredTools = f.tools
		message = counted(f.tools)
	}
	outcome.Set(&s.Status.Conditions, s.Generation, outcome.Accepted, err, "Discovered", message)
	reportGate(s, f)
}

// reportGate says what comes of an annotation that has agents leave writes to the
// server's gate. There is no such condition without one. f is nil if the server
// could not be asked.
func reportGate(s *kagent.RemoteMCPServer, f *found) {
	if s.Annotations[labels.Access] != string(kagent.ClassWrite) {
		meta.RemoveStatusCondition(&s.Status.Conditions, GatesWrites)
		return
	}
	if f == nil {
		return
	}
	var err error
	if !f.gated {
		err = outcome.Stalled("NotStated", "annotation %s says that the server has a person decide about each write, and the server does not say so; agents do not leave their writes to it", labels.Access)
	}
	outcome.Set(&s.Status.Conditions, s.Generation, GatesWrites, err, "Stated", "the server says that it has a person decide about each write, as annotation "+labels.Access+" does; agents leave that to it")
}

func counted(tools []kagent.MCPTool) string {
	count := map[kagent.ToolClass]int{}
	for _, t := range tools {
		count[t.Class]++
	}
	return fmt.Sprintf("%d tools: %d read, %d write, %d destroy", len(tools), count[kagent.ClassRead], count[kagent.ClassWrite], count[kagent.ClassDestroy])
}
