package mcptest_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
)

type in struct {
	Name string `json:"name" jsonschema:"name of the item"`
}

type out struct {
	mcpkit.Table
	mcpkit.Left
}

func read(context.Context, in) (out, error) { return out{}, nil }

func plan(context.Context, in) (mcpkit.Plan, error) { return mcpkit.Plan{}, nil }

func apply(context.Context, in, mcpkit.Plan) (out, error) { return out{}, nil }

func register(ts *mcpkit.Toolset) {
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_list_items", Title: "List Items", Description: "Lists items."}, read)
	mcpkit.Write(ts, mcpkit.Tool{Name: "shelf_label_item", Title: "Label Item", Description: "Labels an item."}, plan, apply)
	mcpkit.Destroy(ts, mcpkit.Tool{Name: "shelf_remove_item", Title: "Remove Item", Description: "Removes an item. For good."}, plan, apply)
}

func TestContract(t *testing.T) { mcptest.Contract(t, register) }

func TestFaultsAreFound(t *testing.T) {
	for fault, break_ := range map[string]func(*mcp.Tool){
		"name is not <system>_<verb>_<noun> in snake case": func(x *mcp.Tool) { x.Name = "listItems" },
		"title or description is missing":                  func(x *mcp.Tool) { x.Description = "" },
		"annotations are missing":                          func(x *mcp.Tool) { x.Annotations = nil },
		"read-only hint is false in the read list":         func(x *mcp.Tool) { x.Annotations.ReadOnlyHint = false },
		"a read tool is marked destructive":                func(x *mcp.Tool) { x.Annotations.DestructiveHint = new(true) },
		"a read tool is not marked idempotent":             func(x *mcp.Tool) { x.Annotations.IdempotentHint = false },
		"argument name has no description": func(x *mcp.Tool) {
			x.InputSchema = json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"}}}`)
		},
		"argument part.name has no description": func(x *mcp.Tool) {
			x.InputSchema = json.RawMessage(`{"type":"object","properties":{"part":{"type":"object","description":"d","properties":{"name":{"type":"string"}}}}}`)
		},
		"argument name has a union of types, [null string]": func(x *mcp.Tool) {
			x.InputSchema = json.RawMessage(`{"type":"object","properties":{"name":{"type":["null","string"],"description":"d"}}}`)
		},
		"output schema is missing": func(x *mcp.Tool) { x.OutputSchema = nil },
		"result rows may be null": func(x *mcp.Tool) {
			x.OutputSchema = json.RawMessage(`{"type":"object","properties":{"rows":{"type":["null","array"]}}}`)
		},
		"result holds lists but cannot say that it is truncated; embed mcpkit.Left": func(x *mcp.Tool) {
			x.OutputSchema = json.RawMessage(`{"type":"object","properties":{"rows":{"type":"array"}}}`)
		},
	} {
		ts := mcpkit.NewToolset()
		register(ts)
		list, err := mcptest.Connect(t, ts, mcpkit.Options{}, nil).ListTools(t.Context(), nil)
		require.NoError(t, err)
		require.Empty(t, mcptest.Faults(list.Tools[0], mcpkit.AccessRead))
		break_(list.Tools[0])
		require.Equal(t, []string{fault}, mcptest.Faults(list.Tools[0], mcpkit.AccessRead))
	}
}

func TestReadRolesMayNotWrite(t *testing.T) {
	rule := func(group, resource string, verbs ...string) []mcpkit.Rule {
		return []mcpkit.Rule{{Groups: []string{group}, Resources: []string{resource}, Verbs: verbs}}
	}
	require.Empty(t, mcptest.Writes(rule("", "pods", "get", "list", "watch")))
	require.Empty(t, mcptest.Writes(rule("authorization.k8s.io", "selfsubjectaccessreviews", "create")))
	require.Equal(t, []string{"the read role may create [pods/exec]"}, mcptest.Writes(rule("", "pods/exec", "create")))
	require.Equal(t, []string{`the read role grants "secrets"`}, mcptest.Writes(rule("", "secrets", "get")))
	require.Empty(t, mcptest.Writes(rule("", "secrets", "get"), "secrets"))
	require.Equal(t, []string{`the read role grants "*"`}, mcptest.Writes(rule("apps", "*", "get")))
	require.Equal(t, []string{"the read role may * [pods]"}, mcptest.Writes(rule("", "pods", "*")))
}
