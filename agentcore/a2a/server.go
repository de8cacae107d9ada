// Package a2a is an agent's face to programs: the A2A protocol in its current
// form and in that of version 0.3, over JSON-RPC. Every message becomes a run,
// so that any replica can tell how it stands and a restart loses nothing. It
// refuses callers that may not ask the agent, and shows nobody what others asked.
package a2a

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Options configure a [Server].
type Options struct {
	Agent  declared.Agent
	Store  runs.Store
	Worker *runs.Worker // whose words are streamed as they arrive

	Authenticator mcpkit.Authenticator // everybody is let in if nil
	Authorizer    mcpkit.Authorizer    // who may ask, which needs an Authenticator; whoever is known, if nil
	URL           string               // by which the card says the agent is reached; that of the request for the card if empty
	HTTP          mcpkit.HTTPOptions
	MostPending   int // runs that nobody works on yet, before messages are refused; DefaultMostPending if 0
	Logger        *slog.Logger

	MostOpen       int // requests that wait for their runs, streams included; DefaultMostOpen if 0
	MostOpenCaller int // of one caller; DefaultMostOpenCaller if 0
}

// DefaultMostPending is how many runs may wait for their turn.
const DefaultMostPending = 100

// maxRequest bounds a message, whose text and data a run holds, in bytes.
const maxRequest = 512 << 10

// keepAlive is how often a stream says that it is there, so that nothing between
// takes it for dead.
const keepAlive = 15 * time.Second

// The paths of the agent's card, of the current protocol and of 0.3.
const (
	cardPath   = a2asrv.WellKnownAgentCardPath
	cardPathV0 = "/.well-known/agent.json"
)

// Handler serves the agent at / and its card at its well-known paths, which
// everybody may read: it says how to prove who one is.
func Handler(o Options) (http.Handler, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.MostPending == 0 {
		o.MostPending = DefaultMostPending
	}
	o.HTTP.MaxRequestBytes = maxRequest
	s := &server{Options: o, crowd: crowd{most: cmp.Or(o.MostOpen, DefaultMostOpen), mostCaller: cmp.Or(o.MostOpenCaller, DefaultMostOpenCaller), open: map[string]int{}}}
	name := o.Agent.Namespace + "/" + o.Agent.Name
	asks, err := mcpkit.Door(mcpkit.Options{Name: name, Logger: o.Logger, Authenticator: o.Authenticator}, o.HTTP, s.authorized(s.wires()))
	if err != nil {
		return nil, err
	}
	card, err := mcpkit.Door(mcpkit.Options{Name: name, Logger: o.Logger}, o.HTTP, s.card())
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/{$}", asks)
	mux.Handle(cardPath, card)
	mux.Handle(cardPathV0, card)
	return mux, nil
}

type server struct {
	Options
	unsupported
	crowd crowd
}

// authorized lets those through who may ask the agent: verb ask on
// agents.kagent.dev, as kubectl auth can-i asks.
func (s *server) authorized(next http.Handler) http.Handler {
	right := mcpkit.Right{Verb: "ask", Group: "kagent.dev", Resource: "agents", Namespace: s.Agent.Namespace, Name: s.Agent.Name}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		caller, known := mcpkit.CallerFrom(r.Context())
		if s.Authorizer != nil && !known {
			http.Error(w, "say who you are", http.StatusUnauthorized)
			return
		}
		if s.Authorizer == nil {
			next.ServeHTTP(w, r)
			return
		}
		ok, err := s.Authorizer.Authorize(r.Context(), caller, right)
		switch {
		case err != nil && r.Context().Err() != nil:
		case err != nil:
			s.Logger.Warn("a caller's rights cannot be found out", "caller", caller.Name, "error", err)
			w.Header().Set("Retry-After", "2")
			http.Error(w, "whether you may ask this agent cannot be found out now; try again in a few seconds", http.StatusServiceUnavailable)
		case !ok:
			http.Error(w, fmt.Sprintf("%s may not ask this agent; somebody who may grant it has to (%s, in namespace %s)", caller.Name, right, right.Namespace), http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// wires tells the two forms of the protocol apart by the names of their methods:
// those of 0.3 are paths, such as message/send.
func (s *server) wires() http.Handler {
	options := []a2asrv.TransportOption{a2asrv.WithTransportKeepAlive(keepAlive), a2asrv.WithTransportPanicHandler(s.panicked)}
	current, before := a2asrv.NewJSONRPCHandler(s, options...), a2av0.NewJSONRPCHandler(s, options...)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body) // the door has bounded it
		if err != nil {
			http.Error(w, "the request ended early", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		var asked struct{ Method string }
		form := current
		if err := json.Unmarshal(body, &asked); err == nil && strings.Contains(asked.Method, "/") {
			form = before
		}
		s.crowd.admit(asked.Method, form, w, r)
	})
}

func (s *server) panicked(r any) error {
	s.Logger.Error("a request ended in a panic", "panic", r)
	return errInternal
}
