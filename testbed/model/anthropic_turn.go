package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// turn checks one message and what it says to the one before, and adds it to the
// conversation.
func (k *messagesCheck) turn(i int, c *conversation) error {
	m := k.req.Messages[i]
	switch {
	case m.Role != "user" && m.Role != "assistant":
		return complain("messages.%d.role: Input should be 'user' or 'assistant'", i)
	case i == 0 && m.Role != "user":
		return complain("messages: first message must use the \"user\" role")
	case i > 0 && m.Role == k.req.Messages[i-1].Role:
		return complain("messages: roles must alternate between \"user\" and \"assistant\", but found multiple \"%s\" roles in a row", m.Role)
	case len(m.Content.blocks) == 0:
		return complain("messages.%d: all messages must have non-empty content except for the optional final assistant message", i)
	}
	var open []string
	if i > 0 {
		open = k.req.Messages[i-1].Content.calls()
	}
	texts, results, err := k.blocks(i, open, c)
	if err != nil {
		return err
	}
	if missing := slices.DeleteFunc(open, func(id string) bool { return slices.Contains(results, id) }); len(missing) > 0 {
		return complain("messages.%d: `tool_use` ids were found without `tool_result` blocks immediately after: %s. Each `tool_use` block must have a corresponding `tool_result` block in the next message.", i-1, strings.Join(missing, ", "))
	}
	if m.Role == "user" && len(results) == 0 {
		c.entries = append(c.entries, entry{kind: asked, text: strings.Join(texts, "\n")})
	} else if m.Role == "user" && len(texts) > 0 { // text beside results asks nothing new, but it is read
		c.entries[len(c.entries)-1].text += "\n" + strings.Join(texts, "\n")
	}
	return nil
}

// blocks checks a message's blocks and adds them. It returns the texts, and the
// ids of the calls that are answered.
func (k *messagesCheck) blocks(i int, open []string, c *conversation) (texts, results []string, err error) {
	m := k.req.Messages[i]
	for j := range m.Content.blocks {
		b := &m.Content.blocks[j]
		path := fmt.Sprintf("messages.%d.content.%d", i, j)
		if err := k.mark(path, b.CacheControl); err != nil {
			return nil, nil, err
		}
		if err := k.block(path, m.Role, b); err != nil {
			return nil, nil, err
		}
		if b.Type == "tool_result" {
			if err := answers(path, b, open, results, len(texts)); err != nil {
				return nil, nil, err
			}
			results = append(results, b.ToolUseID)
		}
		if b.Type == "text" {
			texts = append(texts, *b.Text)
		}
		c.take(m.Role, b)
		c.add(map[string]any{m.Role: unmarked(b.raw)}, b.CacheControl != nil, hour(b.CacheControl))
	}
	return texts, results, nil
}

// calls are the ids of the tool_use blocks.
func (c content) calls() []string {
	var out []string
	for _, b := range c.blocks {
		if b.Type == "tool_use" {
			out = append(out, b.ID)
		}
	}
	return out
}

// answers checks that a result is one of the calls before.
func answers(path string, b *messageBlock, open, results []string, texts int) error {
	switch {
	case !slices.Contains(open, b.ToolUseID):
		return complain("%s: unexpected `tool_use_id` found in `tool_result` blocks: %s. Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", path, b.ToolUseID)
	case slices.Contains(results, b.ToolUseID):
		return complain("%s: each tool_use must have a single result. Found multiple `tool_result` blocks with id: %s", path, b.ToolUseID)
	case texts > 0:
		return complain("%s: `tool_result` blocks must come before text in the message that answers `tool_use`", path)
	}
	return nil
}

// block checks one content block by itself.
func (k *messagesCheck) block(path, role string, b *messageBlock) error {
	user := []string{"text", "image", "document", "tool_result"}
	assistant := []string{"text", "tool_use", "thinking", "redacted_thinking"}
	if allowed := map[string][]string{"user": user, "assistant": assistant}[role]; !slices.Contains(allowed, b.Type) {
		return complain("%s: Input tag '%s' found using 'type' does not match any of the tags that the role %s may use: %s", path, b.Type, role, strings.Join(allowed, ", "))
	}
	switch b.Type {
	case "text":
		if b.Text == nil {
			return complain("%s.text.text: Field required", path)
		}
		if strings.TrimSpace(*b.Text) == "" {
			return complain("messages: text content blocks must contain non-whitespace text")
		}
	case "thinking":
		if b.Signature != signature(b.Thinking) {
			return complain("%s: Invalid `signature` in `thinking` block", path)
		}
		if b.CacheControl != nil {
			return complain("%s.thinking.cache_control: Extra inputs are not permitted", path)
		}
	case "tool_use":
		return k.toolUse(path, b)
	case "tool_result":
		if len(k.req.Tools) == 0 {
			return complain("Requests which include `tool_use` or `tool_result` blocks must define tools")
		}
		return resultContent(path, b)
	}
	return nil
}

func (k *messagesCheck) toolUse(path string, b *messageBlock) error {
	input := bytes.TrimSpace(b.Input)
	switch {
	case len(k.req.Tools) == 0:
		return complain("Requests which include `tool_use` or `tool_result` blocks must define tools")
	case !toolID.MatchString(b.ID):
		return complain("%s.tool_use.id: String should match pattern '%s'", path, toolID)
	case k.ids[b.ID]:
		return complain("%s: `tool_use` ids must be unique", path)
	case !toolName.MatchString(b.Name):
		return complain("%s.tool_use.name: String should match pattern '%s'", path, toolName)
	case len(input) == 0:
		return complain("%s.tool_use.input: Field required", path)
	case input[0] != '{':
		return complain("%s.tool_use.input: Input should be a valid dictionary", path)
	}
	k.ids[b.ID] = true
	return nil
}

func resultContent(path string, b *messageBlock) error {
	for j, part := range b.Content.blocks {
		if !slices.Contains([]string{"text", "image", "document", "search_result"}, part.Type) {
			return complain("%s.tool_result.content.%d: Input tag '%s' found using 'type' does not match any of the expected tags: 'text', 'image', 'document', 'search_result'", path, j, part.Type)
		}
		if part.Type == "text" && (part.Text == nil || *part.Text == "" && !b.Content.text) {
			return complain("messages: text content blocks must be non-empty")
		}
	}
	return nil
}

// take adds a block to what was said; a user's texts are added as one.
func (c *conversation) take(role string, b *messageBlock) {
	switch {
	case b.Type == "tool_use":
		c.entries = append(c.entries, entry{kind: called, id: b.ID, tool: b.Name, text: compact(b.Input)})
	case b.Type == "tool_result":
		c.entries = append(c.entries, entry{kind: returned, id: b.ToolUseID, tool: c.toolOf(b.ToolUseID), text: b.Content.plain(), failed: b.IsError})
	case b.Type == "text" && role == "assistant":
		c.entries = append(c.entries, entry{kind: answered, text: *b.Text})
	}
}

// compact is JSON without spaces, or the text as it is.
func compact(raw []byte) string {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return string(raw)
	}
	return b.String()
}

// signature is what a thinking block carries and must carry when it comes back.
func signature(thinking string) string {
	sum := sha256.Sum256([]byte(thinking))
	return "sig_" + hex.EncodeToString(sum[:])
}
