package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
)

// messagesCheck holds a request to the rules of Anthropic's API, in its words.
type messagesCheck struct {
	req       *messagesRequest
	countOnly bool
	ids       map[string]bool // of all calls
	marks     int
	short     bool // a five-minute breakpoint has been seen
}

var (
	toolID   = regexp.MustCompile(`^[a-zA-Z0-9_-]+$`)
	toolName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,128}$`)
)

func (k *messagesCheck) all(c *conversation) error {
	req := k.req
	k.ids = map[string]bool{}
	switch {
	case req.Model == "":
		return complain("model: Field required")
	case !k.countOnly && req.MaxTokens == nil:
		return complain("max_tokens: Field required")
	case req.MaxTokens != nil && *req.MaxTokens < 1:
		return complain("max_tokens: must be greater than or equal to 1")
	case len(req.Messages) == 0:
		return complain("messages: at least one message is required")
	case req.Temperature != nil && (*req.Temperature < 0 || *req.Temperature > 1):
		return complain("temperature: range: 0..1")
	}
	if err := k.thinks(); err != nil {
		return err
	}
	if err := k.offered(c); err != nil {
		return err
	}
	if err := k.systemMessage(c); err != nil {
		return err
	}
	for i := range req.Messages {
		if err := k.turn(i, c); err != nil {
			return err
		}
	}
	if req.Messages[len(req.Messages)-1].Role != "user" {
		return complain("This model does not support assistant message prefill. The conversation must end with a user message.")
	}
	return k.lastMark(c)
}

func (k *messagesCheck) thinks() error {
	t := k.req.Thinking
	switch {
	case t == nil || t.Type == "disabled" || t.Type == "adaptive":
		return nil
	case t.Type != "enabled":
		return complain("thinking: Input tag '%s' found using 'type' does not match any of the expected tags: 'disabled', 'enabled', 'adaptive'", t.Type)
	case t.Budget == nil || *t.Budget < 1024:
		return complain("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
	case k.req.MaxTokens != nil && *t.Budget >= *k.req.MaxTokens:
		return complain("`max_tokens` must be greater than `thinking.budget_tokens`")
	}
	return nil
}

// offered checks the tools.
func (k *messagesCheck) offered(c *conversation) error {
	seen := map[string]bool{}
	for i, raw := range k.req.Tools {
		var t struct {
			Name         string          `json:"name"`
			Description  string          `json:"description"`
			InputSchema  json.RawMessage `json:"input_schema"`
			CacheControl *cacheControl   `json:"cache_control"`
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return complain("tools.%d: %v", i, err)
		}
		if !toolName.MatchString(t.Name) {
			return complain("tools.%d.custom.name: String should match pattern '%s'", i, toolName)
		}
		if seen[t.Name] {
			return complain("tools: Tool names must be unique.")
		}
		seen[t.Name] = true
		if err := objectSchema(t.InputSchema); err != nil {
			return complain("tools.%d.custom.input_schema%v", i, err)
		}
		if err := k.mark(fmt.Sprintf("tools.%d", i), t.CacheControl); err != nil {
			return err
		}
		c.tools = append(c.tools, offer{t.Name, t.Description, string(t.InputSchema)})
		c.add(unmarked(raw), t.CacheControl != nil, hour(t.CacheControl))
	}
	choice := k.req.ToolChoice
	switch {
	case choice == nil:
		return nil
	case !slices.Contains([]string{"auto", "any", "tool", "none"}, choice.Type):
		return complain("tool_choice: Input tag '%s' found using 'type' does not match any of the expected tags: 'auto', 'any', 'tool', 'none'", choice.Type)
	case len(k.req.Tools) == 0:
		return complain("tool_choice: may only be specified while providing `tools`")
	case choice.Type == "tool" && !seen[choice.Name]:
		return complain("Tool '%s' not found in provided tools", choice.Name)
	}
	return nil
}

// objectSchema checks that a tool's schema is one of an object. Its error goes
// on after the path of the schema.
func objectSchema(raw json.RawMessage) error {
	var s map[string]any
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return complain(": Field required")
	}
	if json.Unmarshal(raw, &s) != nil {
		return complain(": Input should be a valid dictionary")
	}
	if s["type"] != "object" {
		return complain(".type: Input should be 'object'")
	}
	for _, word := range []string{"oneOf", "allOf", "anyOf"} {
		if s[word] != nil {
			return complain(": input_schema does not support oneOf, allOf, or anyOf at the top level")
		}
	}
	return nil
}

func (k *messagesCheck) systemMessage(c *conversation) error {
	for i, b := range k.req.System.blocks {
		path := fmt.Sprintf("system.%d", i)
		if b.Type != "text" || b.Text == nil {
			return complain("%s.type: Input should be 'text'", path)
		}
		if *b.Text == "" && !k.req.System.text {
			return complain("system: text content blocks must be non-empty")
		}
		if err := k.mark(path, b.CacheControl); err != nil {
			return err
		}
		c.add(map[string]any{"system": unmarked(b.raw)}, b.CacheControl != nil, hour(b.CacheControl))
	}
	return nil
}

// mark checks a breakpoint of the cache.
func (k *messagesCheck) mark(path string, m *cacheControl) error {
	if m == nil {
		return nil
	}
	k.marks++
	switch {
	case m.Type != "ephemeral":
		return complain("%s.cache_control: Input tag '%s' found using 'type' does not match any of the expected tags: 'ephemeral'", path, m.Type)
	case m.TTL != "" && m.TTL != "5m" && m.TTL != "1h":
		return complain("%s.cache_control.ephemeral.ttl: Input should be '5m' or '1h'", path)
	case m.TTL == "1h" && k.short:
		return complain("%s.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control block", path)
	case k.marks > 4:
		return complain("A maximum of 4 blocks with cache_control may be provided. Found %d.", k.marks)
	}
	k.short = k.short || m.TTL != "1h"
	return nil
}

// lastMark is the breakpoint that a request sets for itself as a whole.
func (k *messagesCheck) lastMark(c *conversation) error {
	m := k.req.CacheControl
	if err := k.mark("request", m); m == nil || err != nil {
		return err
	}
	if n := len(c.blocks); n > 0 {
		c.blocks[n-1].mark, c.blocks[n-1].hour = true, m.TTL == "1h"
	}
	return nil
}

func hour(m *cacheControl) bool { return m != nil && m.TTL == "1h" }

// unmarked is a block as its prefix is compared: without breakpoints.
func unmarked(raw json.RawMessage) any {
	var v any
	_ = json.Unmarshal(raw, &v) // decoded before
	if m, ok := v.(map[string]any); ok {
		delete(m, "cache_control")
	}
	return v
}

// jsonNames are the names of a struct's fields in JSON.
func jsonNames(of any) map[string]bool {
	out := map[string]bool{}
	for f := range reflect.TypeOf(of).Elem().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		out[name] = true
	}
	return out
}
