package main

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/toolcrib/toolcrib/mcpkit"
	scripted "github.com/toolcrib/toolcrib/testbed/model"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"agentcore": main})
}

// TestScripts runs the program in scripts. The scripted model plays their
// scenario.yaml, and a tool server lends them two tools. In their YAML, MODEL_URL
// and TOOLS_URL are where those listen.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("ANTHROPIC_API_KEY", "sk-secret")
			place := map[string]string{"MODEL_URL": "http://127.0.0.1:1", "TOOLS_URL": newShelf(e.Defer)}
			if scenario, err := scripted.Load(filepath.Join(e.WorkDir, "scenario.yaml")); err == nil {
				server, err := scripted.Start(scripted.Options{Scenario: scenario, Key: "sk-secret"})
				if err != nil {
					return err
				}
				e.Defer(func() { server.Close() })
				place["MODEL_URL"] = server.URL
			} else if !os.IsNotExist(err) && !strings.Contains(err.Error(), "no such file") {
				return err
			}
			return settle(e.WorkDir, place)
		},
	})
}

// settle writes addresses into the YAML of a directory.
func settle(dir string, place map[string]string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		out := string(text)
		for name, url := range place {
			out = strings.ReplaceAll(out, name, url)
		}
		if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// shelf is what the tools reach.
type shelf struct {
	mu     sync.Mutex
	labels map[string]string
}

type itemIn struct {
	Name string `json:"name" jsonschema:"name of the item"`
}

type itemOut struct {
	Name  string `json:"name" jsonschema:"name of the item"`
	Label string `json:"label" jsonschema:"its label"`
}

type labelIn struct {
	Name  string `json:"name" jsonschema:"name of the item"`
	Label string `json:"label" jsonschema:"its new label"`
}

// newShelf serves the tools as our servers do, and returns where.
func newShelf(after func(func())) string {
	s := &shelf{labels: map[string]string{"disk": "full"}}
	ts := mcpkit.NewToolset()
	mcpkit.Read(ts, mcpkit.Tool{Name: "shelf_get_item", Title: "Get an item", Description: "Reads the label of an item."}, s.get)
	mcpkit.Write(ts, mcpkit.Tool{Name: "shelf_set_label", Title: "Label an item", Description: "Changes the label of an item."}, s.plan, s.apply)
	server := mcpkit.NewServer(ts, mcpkit.Options{Name: "shelf-mcp", Access: mcpkit.AccessAll, Gate: mcpkit.GateAsk})
	handler, err := server.HTTP(mcpkit.HTTPOptions{})
	if err != nil {
		panic(err)
	}
	listening := httptest.NewServer(handler)
	after(func() { listening.CloseClientConnections(); listening.Close() })
	return listening.URL + "/mcp"
}

func (s *shelf) get(_ context.Context, in itemIn) (itemOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	label, ok := s.labels[in.Name]
	if !ok {
		return itemOut{}, mcpkit.Errorf(mcpkit.NotFound, "no item %q; there is disk", in.Name)
	}
	return itemOut{in.Name, label}, nil
}

func (s *shelf) plan(_ context.Context, in labelIn) (mcpkit.Plan, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return mcpkit.Plan{Target: "item " + in.Name, Diff: fmt.Sprintf("label: %s -> %s", s.labels[in.Name], in.Label), Seen: []string{s.labels[in.Name]}}, nil
}

func (s *shelf) apply(_ context.Context, in labelIn, _ mcpkit.Plan) (itemOut, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.labels[in.Name] = in.Label
	return itemOut(in), nil
}
