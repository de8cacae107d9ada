package demo

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/model"
)

// thinker is the model that the agent thinks with.
type thinker struct {
	Provider string `json:"provider"` // as a ModelConfig names it
	Model    string `json:"model"`
	Scripted string `json:"scripted,omitempty"` // the scenario that is played instead

	base, key string // of the provider's API
}

// thinkerFor is a real model if the environment holds a key of one, and else one
// that plays the scenario.
func thinkerFor(o Options, scenario string) thinker {
	if key := os.Getenv("ANTHROPIC_API_KEY"); key != "" {
		return thinker{"Anthropic", cmp.Or(o.Model, "claude-sonnet-4-5"), "", cmp.Or(os.Getenv("ANTHROPIC_BASE_URL"), "https://api.anthropic.com"), key}
	}
	if key := os.Getenv("OPENAI_API_KEY"); key != "" {
		return thinker{"OpenAI", cmp.Or(o.Model, "gpt-4.1"), "", cmp.Or(os.Getenv("OPENAI_BASE_URL"), "https://api.openai.com/v1"), key}
	}
	return thinker{Provider: "Anthropic", Model: "scripted", Scripted: scenario}
}

// what says what the agent thinks with, for people.
func (m thinker) what() string {
	if m.Scripted != "" {
		return "The model is scripted (testbed/model, " + m.Scripted + "); ANTHROPIC_API_KEY or OPENAI_API_KEY in the environment gives the agent a real one. Its tools, what they return and the cluster are real."
	}
	return fmt.Sprintf("The model is %s of %s; its key stays in the demo's own process.", m.Model, m.Provider)
}

// same says whether the other is the same to whoever asks.
func (m thinker) same(other thinker) bool {
	return m.Provider == other.Provider && m.Model == other.Model && m.Scripted == other.Scripted
}

// handler is the model as an agent asks it. It adds the key of a real one.
func (m thinker) handler() (h http.Handler, stop func(), err error) {
	if m.Scripted != "" {
		scenario, err := model.Shipped(m.Scripted)
		if err != nil {
			return nil, nil, err
		}
		s, err := model.Start(model.Options{Scenario: scenario})
		if err != nil {
			return nil, nil, err
		}
		return s, func() { _ = s.Close() }, nil
	}
	target, err := url.Parse(m.base)
	if err != nil {
		return nil, nil, fmt.Errorf("the URL of %s: %w", m.Provider, err)
	}
	return &httputil.ReverseProxy{FlushInterval: -1, Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Header.Del("Authorization")
		r.Out.Header.Del("X-Api-Key")
		if m.Provider == "Anthropic" {
			r.Out.Header.Set("X-Api-Key", m.key)
		} else {
			r.Out.Header.Set("Authorization", "Bearer "+m.key)
		}
	}}, func() {}, nil
}

// serve offers the model where pods reach it, or on loopback if there is no
// node that could have any.
func (m thinker) serve(ctx context.Context, c *testbed.Cluster, node bool) (base string, stop func(), err error) {
	h, end, err := m.handler()
	if err != nil {
		return "", nil, err
	}
	var l net.Listener
	if node {
		l, err = c.Listen(ctx)
	} else {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		end()
		return "", nil, fmt.Errorf("listen for the agent's model: %w", err)
	}
	server := &http.Server{Handler: h}
	go func() { _ = server.Serve(l) }()
	return "http://" + l.Addr().String(), func() { _ = server.Close(); end() }, nil
}
