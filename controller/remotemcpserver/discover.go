package remotemcpserver

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"unicode"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/outcome"
)

const (
	mostTools       = 1000
	mostDescription = 400 // bytes; agents read the whole from the server
)

var implementation = &mcp.Implementation{Name: "toolcrib-controller", Title: "Toolcrib's controller", Version: "v1alpha2"}

// gateKey is the key of a tools/list's _meta under which a server says who has a
// person decide about each write of its tools: approval or ask.
const gateKey = "toolcrib.dev/gate"

// found is what a server says it has.
type found struct {
	tools []kagent.MCPTool
	gated bool // a person decides about each write
}

// discover asks the server for its tools.
func discover(ctx context.Context, w *way) (*found, error) {
	ctx, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	hands := newHands(ctx, w)
	defer hands.close()
	session, err := mcp.NewClient(implementation, nil).Connect(ctx, hands.transport(), nil)
	if err != nil {
		return nil, hands.explain(ctx, err)
	}
	defer session.Close() // what there is to tell is told by then
	f := &found{gated: true}
	params := &mcp.ListToolsParams{}
	for page := 0; page == 0 || params.Cursor != ""; page++ {
		list, err := session.ListTools(ctx, params)
		if err != nil {
			return nil, hands.explain(ctx, err)
		}
		if len(f.tools)+len(list.Tools) > mostTools || page == mostTools {
			return nil, outcome.Waiting(resync, "TooManyTools", "the server has more than %d tools; split it", mostTools)
		}
		f.add(list)
		params = &mcp.ListToolsParams{Cursor: list.NextCursor}
	}
	slices.SortFunc(f.tools, func(a, b kagent.MCPTool) int { return cmp.Compare(a.Name, b.Name) })
	f.tools = slices.CompactFunc(f.tools, func(a, b kagent.MCPTool) bool { return a.Name == b.Name })
	return f, nil
}

// add takes in one page of a list.
func (f *found) add(list *mcp.ListToolsResult) {
	for _, tool := range list.Tools {
		f.tools = append(f.tools, kagent.MCPTool{Name: tool.Name, Description: oneLine(tool.Description), Class: class(tool.Annotations)})
	}
	gate := list.Meta[gateKey]
	f.gated = f.gated && (gate == "approval" || gate == "ask")
}

// class is what a call does, as the server says. A tool of which it says
// nothing writes.
func class(a *mcp.ToolAnnotations) kagent.ToolClass {
	switch {
	case a != nil && a.ReadOnlyHint:
		return kagent.ClassRead
	case a != nil && a.DestructiveHint != nil && *a.DestructiveHint:
		return kagent.ClassDestroy
	default:
		return kagent.ClassWrite
	}
}

// oneLine is foreign text without what a reader would not see, on one line of
// bounded length.
func oneLine(s string) string {
	if len(s) > 16*mostDescription {
		s = s[:16*mostDescription]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case r == unicode.ReplacementChar || !unicode.IsGraphic(r):
			return -1
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= mostDescription {
		return s
	}
	const more = "…"
	return strings.ToValidUTF8(s[:mostDescription-len(more)], "") + more
}
