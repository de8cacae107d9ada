package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path"
	"strings"
	"sync"

	"sigs.k8s.io/yaml"
)

// store holds the charts, for both protocols.
type store struct {
	oci http.Handler

	mu       sync.RWMutex
	archives map[string]archive // by file name, NAME-VERSION.tgz
}

// archive is one version of a chart.
type archive struct {
	metadata map[string]any // its Chart.yaml
	data     []byte
}

func (a archive) field(name string) string { s, _ := a.metadata[name].(string); return s }

// publish takes a chart's archive for the repository and the registry.
func (s *store) publish(data []byte) error {
	metadata, err := readMetadata(data)
	if err != nil {
		return err
	}
	a := archive{metadata, data}
	if a.field("name") == "" || a.field("version") == "" {
		return errors.New("a chart needs a name and a version in its Chart.yaml")
	}
	if err := s.push(a); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.archives[a.field("name")+"-"+a.field("version")+".tgz"] = a
	return nil
}

func readMetadata(data []byte) (map[string]any, error) {
	z, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	for t := tar.NewReader(z); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("find Chart.yaml: %w", err)
		}
		if dir, file := path.Split(h.Name); file != "Chart.yaml" || strings.Count(dir, "/") != 1 {
			continue
		}
		raw, err := io.ReadAll(t)
		if err != nil {
			return nil, err
		}
		var metadata map[string]any
		return metadata, yaml.Unmarshal(raw, &metadata)
	}
}

// file returns a chart's archive.
func (s *store) file(name string) ([]byte, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	a, ok := s.archives[name]
	return a.data, ok
}

// index is index.yaml, written as JSON, with addresses that start with base.
func (s *store) index(base string) ([]byte, error) {
	const created = "2026-01-02T03:04:05Z"
	s.mu.RLock()
	defer s.mu.RUnlock()
	entries := map[string][]any{}
	for file, a := range s.archives {
		entry := map[string]any{
			"urls": []string{base + url.PathEscape(file)}, "created": created,
			"digest": strings.TrimPrefix(digest(a.data), "sha256:"),
		}
		for k, v := range a.metadata {
			entry[k] = v
		}
		entries[a.field("name")] = append(entries[a.field("name")], entry)
	}
	return json.Marshal(map[string]any{"apiVersion": "v1", "generated": created, "entries": entries})
}

// push puts a chart into the registry as Helm does.
func (s *store) push(a archive) error {
	config, err := json.Marshal(a.metadata)
	if err != nil {
		return err
	}
	descriptor := func(mediaType string, blob []byte) map[string]any {
		return map[string]any{"mediaType": mediaType, "digest": digest(blob), "size": len(blob)}
	}
	const manifestType = "application/vnd.oci.image.manifest.v1+json"
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": manifestType,
		"config": descriptor("application/vnd.cncf.helm.config.v1+json", config),
		"layers": []any{descriptor("application/vnd.cncf.helm.chart.content.v1.tar+gzip", a.data)},
		"annotations": map[string]string{
			"org.opencontainers.image.title": a.field("name"), "org.opencontainers.image.version": a.field("version"),
		},
	})
	if err != nil {
		return err
	}
	repository := "/v2/charts/" + a.field("name")
	for _, blob := range [][]byte{config, a.data} {
		if err := s.send(http.MethodPost, repository+"/blobs/uploads/?digest="+digest(blob), "application/octet-stream", blob); err != nil {
			return err
		}
	}
	tag := strings.ReplaceAll(a.field("version"), "+", "_") // a tag can have no plus sign
	return s.send(http.MethodPut, repository+"/manifests/"+tag, manifestType, manifest)
}

func (s *store) send(method, target, contentType string, body []byte) error {
	r := httptest.NewRequest(method, target, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	if s.oci.ServeHTTP(w, r); w.Code != http.StatusCreated {
		return fmt.Errorf("%s %s: %d %s", method, target, w.Code, w.Body)
	}
	return nil
}
