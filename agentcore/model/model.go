// Package model speaks to language models: one question in, one answer out,
// streamed, counted and retried. It knows no tools beyond their descriptions
// and keeps no conversation; it refuses to guess what a provider meant.
package model

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Model is a language model behind a provider's API.
type Model interface {
	// Generate asks for the next answer. say, if not nil, hears the text as it
	// arrives, from the goroutine that called. The error is the context's or an
	// [*Error]; what could be retried has been. With an error, the reply holds
	// nothing but the usage of the tries.
	//
	// An answer that breaks off is asked for again, from its beginning: the text
	// that say heard until then is void, and say hears the new one from its
	// start. Restarted of the request is called in between; if it is nil, say
	// hears a line of its own that tells of it. The text of the reply is that of
	// the last try alone.
	Generate(ctx context.Context, r Request, say func(text string)) (Reply, error)
}

// Request is a conversation and what the model may do next.
type Request struct {
	System    string // instructions, before everything else
	Messages  []Message
	Tools     []Tool // in the same order at each request, so that prompts can be cached
	MaxTokens int    // of the answer; the ModelConfig's, or the provider's default, if 0
	Restarted func() // told, from the goroutine that called, that what say has heard is void; may be nil
	NoCalls   bool   // the tools are those of earlier calls, and none may be called now
}

// Role is who speaks in a message.
type Role string

// The roles. Results of tools are part of a user's message.
const (
	User      Role = "user"
	Assistant Role = "assistant"
)

// Message is one turn of the conversation. The messages of a request alternate,
// begin with a user's, and each call of an assistant's is answered by a result
// in the message after it.
type Message struct {
	Role    Role
	Text    string
	Calls   []Call   // of an assistant
	Results []Result // of a user's message, for the calls before it
	Opaque  string   // an assistant's answer in its provider's own form; sent back in place of the rest by the same provider
}

// Tool is a tool as the model is told of it.
type Tool struct {
	Name        string // letters, digits, - and _, at most 64
	Description string
	Schema      json.RawMessage // JSON Schema of an object
}

// Call is a tool call that a model asks for.
type Call struct {
	ID        string
	Name      string
	Arguments string // as the model wrote them; JSON, if it kept to the schema
}

// Result is what came of a call.
type Result struct {
	Call  string // its ID
	Text  string
	Error bool
}

// Reply is one answer of a model.
type Reply struct {
	Text   string
	Calls  []Call
	Usage  v1alpha1.TokenUsage // of all tries, as far as the provider told
	Stop   Stop
	Opaque string // as JSON, if it must be sent back unchanged; see [Message]
}

// Stop is why an answer ended.
type Stop string

// Why answers end.
const (
	StopDone    Stop = "done"    // the model had nothing more to say
	StopCalls   Stop = "calls"   // it waits for results
	StopLength  Stop = "length"  // the most tokens of an answer were reached
	StopRefused Stop = "refused" // the provider or the model declined
)

// Kind classes an [Error] by what can be done about it.
type Kind string

// The kinds of errors.
const (
	Unauthorized Kind = "unauthorized" // the key is missing, wrong or may not use the model
	Invalid      Kind = "invalid"      // the provider refuses the request, whoever asks again
	TooLong      Kind = "too_long"     // the conversation does not fit the model's window
	RateLimited  Kind = "rate_limited" // too much was asked for, retries included
	Unavailable  Kind = "unavailable"  // the provider does not answer, retries included
)

// Error is why there is no answer. Its text is for people and holds no key.
type Error struct {
	Kind       Kind
	Provider   string
	Status     int           // of HTTP; 0 if there was no answer
	Text       string        // what the provider said, bounded
	RetryAfter time.Duration // as the provider asked; 0 if it did not
	Err        error         // for the log

	again bool // asking again may help
}

func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("%s: %s: %s", e.Provider, e.Kind, e.Text)
	}
	return fmt.Sprintf("%s: %s (HTTP %d): %s", e.Provider, e.Kind, e.Status, e.Text)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
