package charts

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/internal/claim"
	"github.com/toolcrib/toolcrib/testbed/internal/pki"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// Options say how to serve the charts. The zero value serves [All] to anybody
// over plain HTTP.
type Options struct {
	User, Password string    // what the home host asks for, if User is not empty
	TLS            bool      // serve HTTPS, signed by Repository.CAFile
	Charts         []Chart   // published at the start; All if nil
	Progress       io.Writer // told what is built; nothing is if nil
}

// Repository is a running chart repository and OCI registry with the same
// charts. It answers at two hosts: at home, which may ask for a password, and
// elsewhere, which takes anybody: what credentials arrive there have leaked.
type Repository struct {
	Home      string // host and port
	Elsewhere string // host and port
	CAFile    string // PEM; empty without TLS
	Dir       string // of state and logs; what is put there goes with the repository

	lock    *os.File // of Dir, held while this process lives
	options Options
	client  *http.Client
	group   proc.Group
}

// View is one face of a repository: the first part of its paths.
type View string

// The views. Whatever they do, they do to the chart repository and to the
// registry, unless they speak of the index.
const (
	Plain             View = "charts"     // the charts as they are
	ArchivesElsewhere View = "elsewhere"  // the index names archives on the other host
	Redirect          View = "redirect"   // every request is redirected to the other host
	Denied            View = "status/401" // every request is answered 401; any other status from 400 works the same way
	Missing           View = "status/404" // every request is answered 404
	Failing           View = "status/500" // every request is answered 500
	Hanging           View = "hang"       // no request is answered
	Truncated         View = "truncated"  // answers break off in the middle
	Huge              View = "huge"       // the index has 256 MiB
)

// Start starts a repository, building it first if need be, and publishes its
// charts. It ends with [Repository.Stop] or with this process, however that
// ends.
func Start(ctx context.Context, o Options) (*Repository, error) {
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if o.Charts == nil {
		o.Charts = All
	}
	programs, err := build.Build(ctx, o.Progress, build.Registry)
	if err != nil {
		return nil, err
	}
	dir, lock, err := claim.MakeDir("toolcrib-charts-*")
	r := &Repository{Dir: dir, lock: lock, options: o, client: &http.Client{}, group: proc.Group{Logs: dir}}
	if err == nil {
		err = r.start(ctx, programs["registry"])
	}
	if err != nil {
		return nil, fmt.Errorf("start a chart repository: %w", errors.Join(err, r.Stop()))
	}
	return r, nil
}

func (r *Repository) start(ctx context.Context, program string) error {
	ready := filepath.Join(r.Dir, "ready.json")
	args := []string{"--requests", r.requests(), "--ready", ready}
	if r.options.TLS {
		if err := r.makeCertificates(); err != nil {
			return err
		}
		args = append(args, "--tls", r.Dir)
	}
	cmd := exec.Command(program, args...)
	cmd.Env = append(os.Environ(), "REGISTRY_USER="+r.options.User, "REGISTRY_PASSWORD="+r.options.Password)
	p, err := r.group.StartCmd("registry", cmd)
	if err != nil {
		return err
	}
	err = proc.Until(ctx, "the addresses", 10*time.Millisecond, func(context.Context) (bool, error) {
		_, err := os.Stat(ready)
		return err == nil, err
	}, p)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(ready)
	if err != nil {
		return err
	}
	var addresses struct{ Home, Elsewhere string }
	if err := json.Unmarshal(data, &addresses); err != nil {
		return fmt.Errorf("read %s: %w", ready, err)
	}
	r.Home, r.Elsewhere = addresses.Home, addresses.Elsewhere
	for _, c := range r.options.Charts {
		if err := r.Publish(ctx, c); err != nil {
			return err
		}
	}
	return nil
}

// makeCertificates leaves the authority's and the server's certificate in Dir.
func (r *Repository) makeCertificates() error {
	ca, err := pki.NewAuthority("toolcrib-charts")
	if err != nil {
		return err
	}
	server, err := ca.Server("server", "127.0.0.1", "127.0.0.2", "localhost")
	if err != nil {
		return err
	}
	if err := server.WriteTo(r.Dir, "server"); err != nil {
		return err
	}
	r.CAFile = filepath.Join(r.Dir, "ca.crt")
	if err := os.WriteFile(r.CAFile, ca.Cert, 0o644); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.Cert)
	r.client.Transport = &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}
	return nil
}

func (r *Repository) requests() string { return filepath.Join(r.Dir, "requests.jsonl") }

// URL is the chart repository's address: its index is URL(view)/index.yaml.
func (r *Repository) URL(v View) string {
	if r.options.TLS {
		return "https://" + r.Home + "/" + string(v)
	}
	return "http://" + r.Home + "/" + string(v)
}

// OCI is a chart's reference in the registry, without a version. A version's
// plus sign is an underscore in its tag. Without TLS a client must be told to
// use plain HTTP.
func (r *Repository) OCI(v View, name string) string {
	return "oci://" + r.Home + "/" + string(v) + "/" + name
}

// Publish adds a chart, or another version of one, to the repository and the
// registry.
func (r *Repository) Publish(ctx context.Context, c Chart) error {
	archive, err := c.Archive()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL("api/charts"), bytes.NewReader(archive))
	if err != nil {
		return err
	}
	if r.options.User != "" {
		req.SetBasicAuth(r.options.User, r.options.Password)
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return fmt.Errorf("publish %s: %w", c.FileName(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 500)) // the status says enough
		return fmt.Errorf("publish %s: %s: %s", c.FileName(), resp.Status, bytes.TrimSpace(text))
	}
	return nil
}

// Request is what one client asked of a repository.
type Request struct {
	Time      time.Time `json:"time"`
	Server    string    `json:"server"` // home or elsewhere
	Method    string    `json:"method"`
	Host      string    `json:"host"` // as the client named it
	Path      string    `json:"path"`
	Query     string    `json:"query"`
	UserAgent string    `json:"user_agent"`
	// Authorization is empty when no such header came, else sha256: and the
	// hexadecimal digest of its value.
	Authorization string `json:"authorization"`
}

// Carries reports whether the request came with this user and password.
func (r Request) Carries(user, password string) bool {
	value := "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	return r.Authorization == fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(value)))
}

// Requests returns all requests so far, but those of Publish. A request is
// among them before its answer is sent.
func (r *Repository) Requests() ([]Request, error) {
	f, err := os.Open(r.requests())
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []Request
	for lines := json.NewDecoder(f); ; {
		var one Request
		switch err := lines.Decode(&one); err {
		case nil:
			out = append(out, one)
		case io.EOF, io.ErrUnexpectedEOF: // the last line is still being written
			return out, nil
		default:
			return nil, fmt.Errorf("read %s: %w", r.requests(), err)
		}
	}
}

// Stop ends the repository and forgets all of it.
func (r *Repository) Stop() error {
	r.group.Stop(time.Second)
	err := os.RemoveAll(r.Dir)
	if r.lock != nil {
		err = errors.Join(err, r.lock.Close())
		r.lock = nil
	}
	return err
}
