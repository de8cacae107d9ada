package model

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is one that a server was sent.
type Request struct {
	Number  int             `json:"number"` // from 1
	Time    time.Time       `json:"time"`
	Path    string          `json:"path"`
	Query   string          `json:"query,omitempty"`
	Header  http.Header     `json:"header"`  // of keys, only that there was one
	Body    json.RawMessage `json:"body"`    // null if it was no JSON
	Status  int             `json:"status"`  // 0 while it is being read
	Outcome string          `json:"outcome"` // the rule that was played, or the error
}

// keep is how many requests are remembered, the newest.
const keep = 10_000

// ledger holds what was asked.
type ledger struct {
	mu       sync.Mutex
	requests []*Request
}

// secret are headers whose values are not kept.
var secret = []string{"Authorization", "X-Api-Key", "Api-Key", "Cookie", "Proxy-Authorization"}

func (l *ledger) begin(number int, r *http.Request, body []byte) *Request {
	record := &Request{Number: number, Time: time.Now(), Path: r.URL.Path, Query: r.URL.RawQuery, Header: r.Header.Clone()}
	for name := range record.Header {
		if slices.ContainsFunc(secret, func(s string) bool { return strings.EqualFold(s, name) }) {
			record.Header.Set(name, "given")
		}
	}
	if json.Valid(body) {
		record.Body = body
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.requests = append(l.requests, record)
	if len(l.requests) > keep {
		l.requests = slices.Clone(l.requests[len(l.requests)-keep/2:])
	}
	return record
}

func (l *ledger) end(record *Request, status int, outcome string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	record.Status, record.Outcome = status, outcome
}

func (l *ledger) all() []Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]Request, len(l.requests))
	for i, r := range l.requests {
		out[i] = *r
	}
	return out
}

func (l *ledger) serve(w http.ResponseWriter) { write(w, http.StatusOK, l.all()) }

// Requests are those the server was sent, oldest first, at most the newest
// 10,000. Their headers hold no keys. An instant server keeps none. A process
// tells them at /_model/requests.
func (s *Server) Requests() []Request { return s.ledger.all() }
