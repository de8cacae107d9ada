// Command registry is a chart repository and an OCI registry that keep what is
// published to them in memory, and record every request. It listens on two
// hosts: home, which may ask for a password, and elsewhere, which takes
// anybody. Behind the first part of the path it can be slow, broken or lead
// away; see views.go. It is no place for anything that must last.
package main

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/registry"
)

func main() {
	tls := flag.String("tls", "", "folder of server.crt and server.key; plain HTTP if empty")
	requests := flag.String("requests", "requests.jsonl", "file to record requests in, one JSON object per line")
	ready := flag.String("ready", "ready.json", "file to write the two addresses to, once they answer")
	flag.Parse()
	if err := run(*tls, *requests, *ready); err != nil {
		fmt.Fprintln(os.Stderr, "registry:", err)
		os.Exit(1)
	}
}

// hosts are two, so that a client sees the way from one to the other as one
// between hosts. Go's own client takes two ports for the same host.
var hosts = map[string]string{"home": "127.0.0.1:0", "elsewhere": "127.0.0.2:0"}

func run(tls, requests, ready string) error {
	record, err := os.OpenFile(requests, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer record.Close()
	addresses := map[string]string{}
	listeners := map[string]net.Listener{}
	for name, address := range hosts {
		l, err := net.Listen("tcp4", address)
		if err != nil {
			return err
		}
		addresses[name], listeners[name] = l.Addr().String(), l
	}
	s := &store{archives: map[string]archive{}, oci: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	v := views{store: s, elsewhere: baseURL(tls, addresses["elsewhere"])}
	ended := make(chan error)
	for name, l := range listeners {
		var h http.Handler = v
		if name == "home" {
			h = authenticated(h)
		}
		server := &http.Server{Handler: recorded(h, record, name), ErrorLog: log.New(io.Discard, "", 0)}
		go func() { ended <- serve(server, l, tls) }()
	}
	if err := announce(ready, addresses); err != nil {
		return err
	}
	return <-ended
}

func serve(server *http.Server, l net.Listener, tls string) error {
	if tls == "" {
		return server.Serve(l)
	}
	return server.ServeTLS(l, filepath.Join(tls, "server.crt"), filepath.Join(tls, "server.key"))
}

func baseURL(tls, address string) string {
	if tls == "" {
		return "http://" + address
	}
	return "https://" + address
}

// announce writes the addresses in one step, so that they are read whole.
func announce(file string, addresses map[string]string) error {
	data, err := json.Marshal(addresses)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file+".part", data, 0o600); err != nil {
		return err
	}
	return os.Rename(file+".part", file)
}

// authenticated asks for the user and password of the environment, if it has
// any.
func authenticated(next http.Handler) http.Handler {
	user, password := os.Getenv("REGISTRY_USER"), os.Getenv("REGISTRY_PASSWORD")
	if user == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, p, _ := r.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(u+":"+p), []byte(user+":"+password)) == 1 {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="testbed"`)
		refuse(w, r, http.StatusUnauthorized)
	})
}

// refuse answers as either protocol says errors.
func refuse(w http.ResponseWriter, r *http.Request, status int) {
	text := http.StatusText(status)
	if !strings.HasPrefix(r.URL.Path, "/v2/") {
		http.Error(w, text, status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	code := strings.ToUpper(strings.ReplaceAll(text, " ", "_"))
	fmt.Fprintf(w, `{"errors":[{"code":%q,"message":%q}]}`, code, text)
}

// digest is the sha256 of a text as OCI writes it.
func digest(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }
