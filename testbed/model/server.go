package model

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Options say how a server plays.
type Options struct {
	Listen   string    // host:port; a free port of 127.0.0.1 if empty
	Scenario *Scenario // what is played; none is needed with Instant
	Instant  []Answer  // answers made beforehand, for benchmarks; see Answer
	Key      string    // the API key to expect; any, or none, if empty
	KeyFile  string    // or a file that holds it, read for each request
	Models   []string  // the models there are; any if empty

	// Wait replaces the clock that delays between pieces wait for. It returns
	// ctx's error if that ends first.
	Wait func(ctx context.Context, d time.Duration) error
	// Sent is called right before a piece of text is written, from the goroutine
	// that writes it.
	Sent func(at time.Time, text string)
}

// Server is a running model server. Its methods are safe for concurrent use.
type Server struct {
	// URL is http://host:port: the base URL of Anthropic's SDK. OpenAI's wants
	// URL + "/v1/".
	URL string

	options  Options
	server   *http.Server
	serving  chan error
	caches   cache
	ledger   ledger
	instant  []instant
	mu       sync.Mutex
	script   *script
	key      string
	requests int
}

// maxBody is the largest request Anthropic takes.
const maxBody = 32 << 20

// Start starts a server on loopback, or where Options say. Close ends it.
func Start(o Options) (*Server, error) {
	s, err := newServer(o)
	if err != nil {
		return nil, err
	}
	if o.Listen == "" {
		o.Listen = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for models: %w", err)
	}
	s.URL = "http://" + listener.Addr().String()
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: time.Minute}
	s.serving = make(chan error, 1)
	go func() { s.serving <- s.server.Serve(listener) }()
	return s, nil
}

func newServer(o Options) (*Server, error) {
	if o.Scenario == nil && len(o.Instant) == 0 {
		return nil, errors.New("a model server needs a scenario, or instant answers")
	}
	if o.Key != "" && o.KeyFile != "" {
		return nil, errors.New("a model server has one key: give Key or KeyFile")
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	made, err := prepare(o.Instant)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, key: o.Key, caches: cache{seen: map[[sha256.Size]byte]bool{}}, instant: made}
	if o.Scenario != nil {
		s.script = play(o.Scenario)
	}
	return s, nil
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Close ends the server and cuts what it was answering. It returns nil on a
// server that has served well.
func (s *Server) Close() error {
	err := s.server.Close()
	if served := <-s.serving; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	s.serving <- http.ErrServerClosed // for the next Close
	return err
}

// SetKey changes the key to expect, as a rotation does.
func (s *Server) SetKey(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = key
}

// SetScenario plays another scenario from the next request on. The number of
// requests goes on.
func (s *Server) SetScenario(scenario *Scenario) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = play(scenario)
}

// ServeHTTP implements http.Handler. The end of a path says what is asked for,
// so that any prefix will do: /v1/, /v1beta/openai/, /openai/deployments/NAME/.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ending := func(path string) bool { return strings.HasSuffix(r.URL.Path, path) }
	switch {
	case ending("/_model/requests"):
		s.ledger.serve(w)
	case ending("/models") && r.Method == http.MethodGet:
		s.models(w, r)
	case ending("/messages/count_tokens"):
		s.exchange(w, r, &messages{countOnly: true})
	case ending("/messages"):
		s.exchange(w, r, &messages{})
	case ending("/chat/completions"):
		s.exchange(w, r, newChat(r))
	default:
		wireOf(r).fail(w, &failure{status: http.StatusNotFound, message: fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path)})
	}
}

// wireOf guesses whose client asks where the path does not say it.
func wireOf(r *http.Request) wire {
	if r.Header.Get("anthropic-version") != "" {
		return &messages{}
	}
	return newChat(r)
}

// wire is one provider's form of requests and answers.
type wire interface {
	// admit checks the headers against the key, which is empty if any will do.
	admit(r *http.Request, key string) *failure
	// read decodes a request and checks it as the provider does.
	read(body []byte) (*conversation, *failure)
	count(k *cache, c *conversation) usage
	whole(c *conversation, a *answer, u usage) any
	frames(c *conversation, a *answer, u usage) []frame
	fail(w http.ResponseWriter, f *failure)
	// failing is the failure as an event within a stream.
	failing(f *failure) []byte
	// list is the answer to a request for the models.
	list(names []string) any
}

func (s *Server) exchange(w http.ResponseWriter, r *http.Request, on wire) {
	if r.Method != http.MethodPost {
		on.fail(w, &failure{status: http.StatusMethodNotAllowed, message: "Method Not Allowed"})
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		on.fail(w, &failure{status: http.StatusRequestEntityTooLarge, message: "Request exceeds the maximum size"})
		return
	}
	if s.instant != nil {
		s.play(w, r, body)
		return
	}
	number, script, key, err := s.next()
	if err != nil {
		on.fail(w, &failure{status: http.StatusInternalServerError, message: err.Error()})
		return
	}
	record := s.ledger.begin(number, r, body)
	if f := s.answer(w, r, on, body, number, script, key, record); f != nil {
		s.ledger.end(record, f.status, cmp.Or(f.rule, f.message))
		on.fail(w, f)
	}
}

// next numbers a request and says what it is to be answered from.
func (s *Server) next() (number int, playing *script, key string, err error) {
	s.mu.Lock()
	s.requests++
	number, playing, key = s.requests, s.script, s.key
	s.mu.Unlock()
	if s.options.KeyFile != "" {
		key, err = readKey(s.options.KeyFile)
	}
	return number, playing, key, err
}

// answer answers, unless it returns the failure to answer with.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, on wire, body []byte, number int, playing *script, key string, record *Request) *failure {
	if f := on.admit(r, key); f != nil {
		return f
	}
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		return invalid("Content-Type: want application/json")
	}
	c, f := on.read(body)
	if f != nil {
		return f
	}
	if f := s.knows(c.model); f != nil {
		return f
	}
	u := on.count(&s.caches, c)
	if m, ok := on.(*messages); ok && m.countOnly {
		m.counted(w, u)
		return nil
	}
	a, err := playing.answer(c, number)
	if err != nil {
		return invalid(err.Error())
	}
	sum := sha256.Sum256(body)
	a.id = hex.EncodeToString(sum[:10])
	if u.output = a.output(); a.usage != nil {
		u = usage{input: a.usage.Input, output: a.usage.Output}
	}
	if a.fail != nil && a.fail.Status != 0 && (a.fail.After == nil || !c.stream) {
		f := a.fail.of()
		f.rule = a.rule
		return f
	}
	s.ledger.end(record, http.StatusOK, a.rule)
	s.perform(w, r, on, c, a, u)
	return nil
}

func (s *Server) knows(model string) *failure {
	for _, name := range s.options.Models {
		if name == model {
			return nil
		}
	}
	if len(s.options.Models) == 0 {
		return nil
	}
	return &failure{status: http.StatusNotFound, code: "model_not_found", message: "model: " + model}
}

func (s *Server) models(w http.ResponseWriter, r *http.Request) {
	on := wireOf(r)
	s.mu.Lock()
	key := s.key
	s.mu.Unlock()
	var err error
	if s.options.KeyFile != "" {
		key, err = readKey(s.options.KeyFile)
	}
	if f := on.admit(r, key); f != nil || err != nil {
		if f == nil {
			f = &failure{status: http.StatusInternalServerError, message: err.Error()}
		}
		on.fail(w, f)
		return
	}
	names := s.options.Models
	if len(names) == 0 {
		names = []string{"scripted"}
	}
	write(w, http.StatusOK, on.list(names))
}
