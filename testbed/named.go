package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/internal/claim"
	"github.com/toolcrib/toolcrib/testbed/internal/supervisor"
)

// state is what another process needs to use and to stop a cluster.
type state struct {
	Name       string `json:",omitempty"`
	Dir        string
	Tier       Tier
	Programs   build.Programs
	Runtime    build.Unpacked
	Supervisor int // its process id
	Node       int // process id of the first process in the node's namespaces
	Started    time.Time
}

// ErrNoCluster is returned for a name that no running cluster has.
var ErrNoCluster = errors.New("no such cluster")

var clusterName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,39}$`)

// Up starts a named cluster that runs until it is stopped, whatever becomes of
// this process. A running cluster of that name is an error.
func Up(ctx context.Context, name string, o Options) (*Cluster, error) {
	if !clusterName.MatchString(name) {
		return nil, fmt.Errorf("cluster name %q: want lower-case letters, digits and dashes, at most 40", name)
	}
	if _, err := Find(name); !errors.Is(err, ErrNoCluster) {
		return nil, errors.Join(fmt.Errorf("cluster %s is already up", name), err)
	}
	c, err := start(ctx, o, true)
	if err != nil {
		return nil, err
	}
	c.state.Name = name
	if err := c.state.write(); err != nil {
		return nil, errors.Join(fmt.Errorf("remember cluster %s: %w", name, err), c.Stop())
	}
	return c, nil
}

// Find returns the running cluster of that name, or [ErrNoCluster].
func Find(name string) (*Cluster, error) {
	clusters, err := Clusters()
	if err != nil {
		return nil, err
	}
	for _, c := range clusters {
		if c.Name() == name {
			return c, nil
		}
	}
	return nil, fmt.Errorf("cluster %s: %w", name, ErrNoCluster)
}

// Clusters returns the running named clusters.
func Clusters() ([]*Cluster, error) {
	dir, err := statesDir()
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	var clusters []*Cluster
	for _, file := range files {
		s, err := readState(file)
		if err != nil {
			return nil, err
		}
		if !claim.Held(s.Dir) {
			if err := s.forget(); err != nil {
				return nil, err
			}
			continue
		}
		clusters = append(clusters, &Cluster{Dir: s.Dir, Kubeconfig: filepath.Join(s.Dir, supervisor.KubeconfigFile), state: s})
	}
	return clusters, nil
}

// Name is the cluster's name, if [Up] gave it one.
func (c *Cluster) Name() string { return c.state.Name }

// Tier is the cluster's tier; it is empty for an existing one.
func (c *Cluster) Tier() Tier { return c.state.Tier }

// Started is when the cluster was started.
func (c *Cluster) Started() time.Time { return c.state.Started }

func statesDir() (string, error) {
	cache, err := build.Cache()
	return filepath.Join(cache, "clusters"), err
}

func readState(file string) (s state, err error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w", file, err)
	}
	s.Name = strings.TrimSuffix(filepath.Base(file), ".json")
	return s, nil
}

func (s state) write() error {
	dir, err := statesDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, s.Name+".json"), data, 0o600)
}

// end stops a cluster whose supervisor is not our child.
func (s state) end() error {
	if claim.Held(s.Dir) {
		if err := syscall.Kill(s.Supervisor, syscall.SIGTERM); err != nil {
			return fmt.Errorf("stop its supervisor, process %d: %w", s.Supervisor, err)
		}
	}
	for deadline := time.Now().Add(stopTimeout); claim.Held(s.Dir); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("its supervisor, process %d, did not end in %s", s.Supervisor, stopTimeout)
		}
	}
	return nil
}

// forget removes what write wrote, if anything.
func (s state) forget() error {
	dir, err := statesDir()
	if err != nil || s.Name == "" {
		return err
	}
	if err := os.Remove(filepath.Join(dir, s.Name+".json")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
