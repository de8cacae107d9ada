package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
)

const publishPath = "/api/charts" // ChartMuseum's

// views serves the same charts below several paths: the repository VIEW is at
// /VIEW/index.yaml, the registry's at oci://HOST/VIEW.
//
//	charts         as they are
//	elsewhere      the index names archives on the other host
//	redirect       every request is redirected to the other host
//	status/NUMBER  every request is answered with that status
//	hang           no request is answered
//	truncated      answers break off in the middle
//	huge           the index has 256 MiB
type views struct {
	store     *store
	elsewhere string // URL of the other host
}

// ServeHTTP implements http.Handler.
func (v views) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == publishPath && r.Method == http.MethodPost {
		v.publish(w, r)
		return
	}
	path, oci := strings.CutPrefix(r.URL.Path, "/v2/")
	if !oci {
		path = strings.TrimPrefix(path, "/")
	}
	view, rest, _ := strings.Cut(path, "/")
	switch view {
	case "redirect":
		http.Redirect(w, r, v.elsewhere+plain(rest, oci), http.StatusTemporaryRedirect)
	case "status":
		number, _, _ := strings.Cut(rest, "/")
		status, err := strconv.Atoi(number)
		if err != nil || status < 400 || status > 599 {
			status = http.StatusNotFound
		}
		refuse(w, r, status)
	case "hang":
		<-r.Context().Done()
	case "truncated":
		r.URL.Path = plain(rest, oci)
		v.truncate(w, r)
	default:
		v.serve(w, r, view, rest, oci)
	}
}

// plain is the path of the charts as they are.
func plain(rest string, oci bool) string {
	if oci {
		return "/v2/charts/" + rest
	}
	return "/charts/" + rest
}

// serve answers with a whole index or archive, or as the registry.
func (v views) serve(w http.ResponseWriter, r *http.Request, view, file string, oci bool) {
	base, known := map[string]string{"charts": "", "huge": "", "elsewhere": v.elsewhere + "/charts/"}[view]
	switch {
	case oci, r.URL.Path == "/v2":
		v.store.oci.ServeHTTP(w, r)
	case view == "huge" && file == "index.yaml":
		enormous(w)
	case known && file == "index.yaml":
		index, err := v.store.index(base)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/yaml")
		_, _ = w.Write(index) // a client may leave
	default:
		data, ok := v.store.file(file)
		if !known || !ok {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = w.Write(data)
	}
}

func (v views) publish(w http.ResponseWriter, r *http.Request) {
	data, err := io.ReadAll(r.Body)
	if err == nil {
		err = v.store.publish(data)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// truncate promises the whole answer and gives half of it.
func (v views) truncate(w http.ResponseWriter, r *http.Request) {
	whole := httptest.NewRecorder()
	v.ServeHTTP(whole, r)
	body := whole.Body.Bytes()
	for name, values := range whole.Header() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(whole.Code)
	_, _ = w.Write(body[:len(body)/2])
	_ = http.NewResponseController(w).Flush() // what was written goes out before the connection ends
	panic(http.ErrAbortHandler)
}

// enormous writes a well-formed index of a chart with very many versions.
func enormous(w io.Writer) {
	fmt.Fprint(w, "apiVersion: v1\nentries:\n  web:\n")
	padding := bytes.Repeat([]byte("long "), 200)
	for written, n := 0, 0; written < 256<<20; n++ {
		k, err := fmt.Fprintf(w, "  - {apiVersion: v2, name: web, version: 1.0.%d, urls: [web-1.0.0.tgz], description: %s}\n", n, padding)
		if err != nil {
			return // the client has had enough
		}
		written += k
	}
}
