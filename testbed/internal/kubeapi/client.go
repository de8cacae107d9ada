// Package kubeapi is the little of a Kubernetes client that starting a cluster
// takes: JSON over one authenticated HTTP connection. It exists so that the
// testbed depends on no version of Kubernetes' own client.
package kubeapi

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/toolcrib/toolcrib/testbed/internal/pki"
)

// Client calls one API server.
type Client struct {
	server string
	http   *http.Client
}

// New returns a client that trusts ca and shows p.
func New(server string, ca []byte, p pki.Pair) (*Client, error) {
	cert, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{
		ForceAttemptHTTP2: true,
		TLSClientConfig:   &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{cert}},
	}
	return &Client{server, &http.Client{Transport: transport}}, nil
}

// Close ends the connection.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Get reads path into out, which may be nil.
func (c *Client) Get(ctx context.Context, path string, out any) error {
	return c.do(ctx, http.MethodGet, path, "", nil, out)
}

// Post creates what body describes, and reads what became of it into out, which
// may be nil.
func (c *Client) Post(ctx context.Context, path string, body []byte, out any) error {
	return c.do(ctx, http.MethodPost, path, "application/json", body, out)
}

// Delete deletes the object or collection at path.
func (c *Client) Delete(ctx context.Context, path string) error {
	return c.do(ctx, http.MethodDelete, path, "", nil, nil)
}

// Apply applies a YAML or JSON object at its path, server-side.
func (c *Client) Apply(ctx context.Context, path string, object []byte) error {
	return c.do(ctx, http.MethodPatch, path+"?fieldManager=toolcrib-testbed&force=true", "application/apply-patch+yaml", object, nil)
}

// Error is an answer other than success.
type Error struct {
	Code   int
	Method string
	Path   string
	Body   string
}

// Error implements error.
func (e *Error) Error() string {
	var status struct{ Message string }
	if json.Unmarshal([]byte(e.Body), &status) == nil && status.Message != "" {
		e.Body = status.Message
	}
	return fmt.Sprintf("%s %s: %d %s", e.Method, e.Path, e.Code, e.Body)
}

func (c *Client) do(ctx context.Context, method, path, contentType string, body []byte, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, c.server+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode >= 300 {
		p, _, _ := bytes.Cut([]byte(path), []byte("?"))
		return &Error{resp.StatusCode, method, string(p), string(answer)}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// Query joins a path and its query parameters, given as name, value, ...
func Query(path string, pairs ...string) string {
	q := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return path + "?" + q.Encode()
}
