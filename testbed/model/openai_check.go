package model

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// chatCheck holds a request to the rules of OpenAI's API, in its words.
type chatCheck struct {
	req  *chatRequest
	open []string // calls without a result
}

var functionName = regexp.MustCompile(`^[a-zA-Z0-9_-]{1,64}$`)

func refuse(param, code, format string, args ...any) *failure {
	return &failure{status: http.StatusBadRequest, param: param, code: code, message: fmt.Sprintf(format, args...)}
}

func (k *chatCheck) all(c *conversation) *failure {
	req := k.req
	switch {
	case c.model == "":
		return refuse("", "", "you must provide a model parameter")
	case len(req.Messages) == 0:
		return refuse("messages", "empty_array", "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	case req.StreamOptions != nil && !req.Stream:
		return refuse("stream_options", "", "The 'stream_options' parameter is only allowed when 'stream' is enabled.")
	case req.MaxTokens != nil && req.MaxCompletionTokens != nil:
		return refuse("max_tokens", "invalid_parameter_combination", "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.")
	case req.MaxTokens != nil && *req.MaxTokens < 1, req.MaxCompletionTokens != nil && *req.MaxCompletionTokens < 1:
		return refuse("max_tokens", "integer_below_min_value", "Invalid 'max_tokens': integer below minimum value. Expected a value >= 1.")
	case req.N != nil && *req.N != 1:
		return refuse("n", "", "this server gives one choice; leave n out")
	case req.Temperature != nil && (*req.Temperature < 0 || *req.Temperature > 2):
		return refuse("temperature", "", "Invalid 'temperature': expected a value from 0 to 2.")
	}
	if f := k.offered(c); f != nil {
		return f
	}
	for i := range req.Messages {
		if f := k.message(i, c); f != nil {
			return f
		}
	}
	return k.answered(len(req.Messages))
}

// offered checks the tools.
func (k *chatCheck) offered(c *conversation) *failure {
	seen := map[string]bool{}
	if len(k.req.Tools) > 128 {
		return refuse("tools", "array_above_max_length", "Invalid 'tools': array too long. Expected an array with maximum length 128, but got an array with length %d instead.", len(k.req.Tools))
	}
	if k.req.Tools != nil && len(k.req.Tools) == 0 {
		return refuse("tools", "empty_array", "Invalid 'tools': empty array. Expected an array with minimum length 1, but got an empty array instead.")
	}
	for i, raw := range k.req.Tools {
		var t struct {
			Type     string
			Function struct {
				Name, Description string
				Parameters        json.RawMessage
			}
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return refuse("tools", "", "Invalid 'tools[%d]': %v", i, err)
		}
		name := t.Function.Name
		switch {
		case t.Type != "function":
			return refuse(fmt.Sprintf("tools[%d].type", i), "invalid_value", "Invalid value: '%s'. Supported values are: 'function'.", t.Type)
		case !functionName.MatchString(name):
			return refuse(fmt.Sprintf("tools[%d].function.name", i), "invalid_value", "Invalid 'tools[%d].function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.", i)
		case seen[name]:
			return refuse("tools", "invalid_value", "Invalid 'tools': function name %s is given twice.", name)
		}
		seen[name] = true
		if len(t.Function.Parameters) > 0 {
			if f := parameters(i, name, t.Function.Parameters); f != nil {
				return f
			}
		}
		c.tools = append(c.tools, offer{name, t.Function.Description, string(t.Function.Parameters)})
		c.add(unmarked(raw), false, false)
	}
	if len(k.req.ToolChoice) > 0 && len(k.req.Tools) == 0 {
		return refuse("tool_choice", "", "'tool_choice' is only allowed when 'tools' are specified.")
	}
	return nil
}

func parameters(i int, name string, raw json.RawMessage) *failure {
	param := fmt.Sprintf("tools[%d].function.parameters", i)
	var schema map[string]any
	if json.Unmarshal(raw, &schema) != nil || schema["type"] != "object" {
		return refuse(param, "invalid_function_parameters", "Invalid schema for function '%s': schema must be a JSON Schema of 'type: \"object\"', got 'type: %q'.", name, fmt.Sprint(schema["type"]))
	}
	if path := bareArray(schema, nil); path != nil {
		return refuse(param, "invalid_function_parameters", "Invalid schema for function '%s': In context=('%s'), array schema missing items.", name, strings.Join(path, "', '"))
	}
	return nil
}

// bareArray is the path to an array without items, which the API refuses.
func bareArray(schema map[string]any, path []string) []string {
	if schema["type"] == "array" && schema["items"] == nil {
		return path
	}
	properties, _ := schema["properties"].(map[string]any)
	for name, p := range properties {
		if p, ok := p.(map[string]any); ok {
			if found := bareArray(p, append(slices.Clone(path), "properties", name)); found != nil {
				return found
			}
		}
	}
	if items, ok := schema["items"].(map[string]any); ok {
		return bareArray(items, append(slices.Clone(path), "items"))
	}
	return nil
}

// message checks one message and adds it to the conversation.
func (k *chatCheck) message(i int, c *conversation) *failure {
	m := &k.req.Messages[i]
	at := fmt.Sprintf("messages.[%d]", i)
	if m.Role != "tool" {
		if f := k.answered(i); f != nil {
			return f
		}
	}
	if m.Content == nil && (m.Role != "assistant" || len(m.ToolCalls) == 0) {
		return refuse(at+".content", "", "Invalid value for 'content': expected a string, got null.")
	}
	if f := parts(at, m); f != nil {
		return f
	}
	text := ""
	if m.Content != nil {
		text = m.Content.text
	}
	c.add(m.raw, false, false)
	switch m.Role {
	case "system", "developer":
		c.system = strings.TrimPrefix(c.system+"\n"+text, "\n")
	case "user":
		c.entries = append(c.entries, entry{kind: asked, text: text})
	case "assistant":
		if text != "" {
			c.entries = append(c.entries, entry{kind: answered, text: text})
		}
		return k.calls(at, m, c)
	case "tool":
		return k.result(at, m, text, c)
	default:
		return refuse(at+".role", "invalid_value", "Invalid value: '%s'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'.", m.Role)
	}
	return nil
}

// parts checks that a role uses only what it may.
func parts(at string, m *chatMessage) *failure {
	if m.Content == nil {
		return nil
	}
	allowed := map[string][]string{"user": {"text", "image_url", "input_audio", "file"}, "assistant": {"text", "refusal"}}[m.Role]
	if allowed == nil {
		allowed = []string{"text"}
	}
	for j, kind := range m.Content.parts {
		if !slices.Contains(allowed, kind) {
			return refuse(fmt.Sprintf("%s.content[%d].type", at, j), "invalid_value", "Invalid value: '%s'. Supported values are: '%s'.", kind, strings.Join(allowed, "', '"))
		}
	}
	return nil
}

func (k *chatCheck) calls(at string, m *chatMessage, c *conversation) *failure {
	if m.ToolCalls != nil && len(m.ToolCalls) == 0 {
		return refuse(at+".tool_calls", "empty_array", "Invalid '%s.tool_calls': empty array. Expected an array with minimum length 1, but got an empty array instead.", at)
	}
	for j, call := range m.ToolCalls {
		param := fmt.Sprintf("%s.tool_calls[%d]", at, j)
		switch {
		case call.ID == "":
			return refuse(param+".id", "missing_required_parameter", "Missing required parameter: '%s.id'.", param)
		case len(call.ID) > 40:
			return refuse(param+".id", "string_above_max_length", "Invalid '%s.id': string too long. Expected a string with maximum length 40, but got a string with length %d instead.", param, len(call.ID))
		case call.Type != "function":
			return refuse(param+".type", "invalid_value", "Invalid value: '%s'. Supported values are: 'function'.", call.Type)
		case !functionName.MatchString(call.Function.Name):
			return refuse(param+".function.name", "invalid_value", "Invalid '%s.function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.", param)
		case call.Function.Arguments == nil:
			return refuse(param+".function.arguments", "missing_required_parameter", "Missing required parameter: '%s.function.arguments'.", param)
		case slices.Contains(k.open, call.ID):
			return refuse(param+".id", "invalid_value", "Duplicate value for 'tool_call_id' of %s.", call.ID)
		}
		k.open = append(k.open, call.ID)
		c.entries = append(c.entries, entry{kind: called, id: call.ID, tool: call.Function.Name, text: compact([]byte(*call.Function.Arguments))})
	}
	return nil
}

func (k *chatCheck) result(at string, m *chatMessage, text string, c *conversation) *failure {
	at0 := slices.Index(k.open, m.ToolCallID)
	if at0 < 0 {
		return refuse(at+".role", "", "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.")
	}
	k.open = slices.Delete(k.open, at0, at0+1)
	c.entries = append(c.entries, entry{kind: returned, id: m.ToolCallID, tool: c.toolOf(m.ToolCallID), text: text})
	return nil
}

// answered checks that no call is without its result before message i.
func (k *chatCheck) answered(i int) *failure {
	if len(k.open) == 0 {
		return nil
	}
	return refuse(fmt.Sprintf("messages.[%d].role", i), "", "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %s", strings.Join(k.open, ", "))
}
