package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// request is one line of the record. It says whether credentials came, and
// lets a test compare them, but does not hold them.
type request struct {
	Time          time.Time `json:"time"`
	Server        string    `json:"server"` // home or elsewhere
	Method        string    `json:"method"`
	Host          string    `json:"host"` // as the client named it
	Path          string    `json:"path"`
	Query         string    `json:"query,omitempty"`
	UserAgent     string    `json:"user_agent,omitempty"`
	Authorization string    `json:"authorization,omitempty"` // digest of the header's value
}

// recorded writes down each request before it is answered, so that who has the
// answer finds the request. Publishing is the testbed's own and left out.
func recorded(next http.Handler, to io.Writer, server string) http.Handler {
	var mu sync.Mutex
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, publishPath) {
			line := request{
				Time: time.Now().UTC(), Server: server, Method: r.Method, Host: r.Host,
				Path: r.URL.Path, Query: r.URL.RawQuery, UserAgent: r.UserAgent(),
			}
			if value := r.Header.Get("Authorization"); value != "" {
				line.Authorization = digest([]byte(value))
			}
			data, err := json.Marshal(line)
			if err == nil {
				mu.Lock()
				_, err = fmt.Fprintf(to, "%s\n", data)
				mu.Unlock()
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}
