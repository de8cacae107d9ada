package mcpkit

import (
	"context"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// MetaGate is the key by which a server and its callers agree on who has a person
// decide about writes. The _meta of a server's tools/list holds the gate that
// stands before each of them, as a [GateMode], and nothing if none does. A caller
// that leaves the decision to the server puts [GateRequired] under the same key
// of each call: a server that lets writes through refuses it then.
const MetaGate = "toolcrib.dev/gate"

// GateRequired is what a caller says that has nobody else decide.
const GateRequired = "required"

// StatedGate is the gate that a tools/list says stands before each write of its
// tools; empty if it says nothing of one. It is the server's own word.
func StatedGate(list *mcp.ListToolsResult) GateMode {
	stated, _ := list.Meta[MetaGate].(string)
	switch mode := GateMode(stated); mode {
	case GateAsk, GateApproval:
		return mode
	}
	return ""
}

// stateGate says in tools/list which gate stands before writes.
func (s *Server) stateGate(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		if list, ok := result.(*mcp.ListToolsResult); ok && err == nil && s.Access != AccessRead && s.Gate != GateOff {
			if list.Meta == nil {
				list.Meta = mcp.Meta{}
			}
			list.Meta[MetaGate] = string(s.Gate)
		}
		return result, err
	}
}

// gateRequired is whether the caller leaves it to the server to have a person decide.
func (c *Call) gateRequired() bool {
	_, required := c.req.Params.Meta[MetaGate]
	return required
}
