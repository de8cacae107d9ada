package model_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	scripted "github.com/toolcrib/toolcrib/testbed/model"
	"sigs.k8s.io/yaml"
)

// secrets are Secrets in memory, NAME/KEY to value.
type secrets struct {
	mu     sync.Mutex
	values map[string]string
}

// Secret implements model.Secrets.
func (s *secrets) Secret(name, key string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, ok := s.values[name+"/"+key]; ok {
		return v, nil
	}
	return "", fmt.Errorf("no key %q in Secret %q", key, name)
}

func (s *secrets) set(path, value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[path] = value
}

const rightKey = "sk-right-0123456789abcdef"

func keys() *secrets { return &secrets{values: map[string]string{"llm/key": rightKey}} }

// config is a ModelConfig, normalised, from the YAML of its spec, in which URL
// stands for a URL.
func config(t testing.TB, spec, url string) kagent.ModelConfig {
	t.Helper()
	var m kagent.ModelConfig
	require.NoError(t, yaml.UnmarshalStrict([]byte(strings.ReplaceAll(spec, "URL", url)), &m.Spec))
	require.NoError(t, m.Normalise())
	return m
}

// wires are ModelConfigs of both wires, for a server at a URL.
var wires = map[string]string{
	"Anthropic": `{provider: Anthropic, model: claude-test, apiKeySecret: llm, apiKeySecretKey: key, anthropic: {baseUrl: "URL"}}`,
	"OpenAI":    `{provider: OpenAI, model: gpt-test, apiKeySecret: llm, apiKeySecretKey: key, openAI: {baseUrl: "URL"}}`,
}

// wire is a ModelConfig of the wire for the server.
func wire(t testing.TB, name, url string) kagent.ModelConfig {
	t.Helper()
	if name == "OpenAI" {
		url += "/v1"
	}
	return config(t, wires[name], url)
}

func start(t testing.TB, scenario string) *scripted.Server {
	t.Helper()
	s, err := scripted.Parse(t.Name(), []byte(scenario))
	require.NoError(t, err)
	server, err := scripted.Start(scripted.Options{Scenario: s, Key: rightKey})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return server
}

// clock is one that a test moves: waits are noted and pass at once.
type clock struct {
	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func (c *clock) options() model.Options {
	c.now = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	return model.Options{
		Now: func() time.Time { c.mu.Lock(); defer c.mu.Unlock(); return c.now },
		Wait: func(ctx context.Context, d time.Duration) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.now, c.waits = c.now.Add(d), append(c.waits, d)
			return ctx.Err()
		},
	}
}

func open(t testing.TB, cfg kagent.ModelConfig, o model.Options) model.Model {
	t.Helper()
	m, err := model.Open(cfg, keys(), o)
	require.NoError(t, err)
	return m
}

// failed is the error of a model.
func failed(t testing.TB, err error, kind model.Kind) *model.Error {
	t.Helper()
	var e *model.Error
	require.True(t, errors.As(err, &e), "%v", err)
	require.Equal(t, kind, e.Kind, e.Error())
	require.NotContains(t, e.Error(), rightKey)
	return e
}

func ask(text string) model.Request {
	return model.Request{System: "You look after clusters.", Messages: []model.Message{{Role: model.User, Text: text}}, Tools: []model.Tool{
		{Name: "k8s_get_pod_logs", Description: "Reads the log of a pod.", Schema: []byte(`{"type":"object","properties":{"pod_name":{"type":"string"}},"required":["pod_name"]}`)},
		{Name: "k8s_ping"},
	}}
}
