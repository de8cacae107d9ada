// Package supervisor runs one cluster: it starts its processes, with a real
// node in private mount, network and pid namespaces, and takes everything down
// again when it is told to or when its parent is gone.
package supervisor

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/toolcrib/toolcrib/testbed/build"
)

// The tiers a cluster can have.
const (
	ControlPlane = "control-plane"
	Node         = "node"
	Scale        = "scale"
)

// Spec says what to run. The supervisor reads it as JSON from its standard
// input and, unless Detach is set, stops the cluster when that input ends.
type Spec struct {
	Dir             string // of all state; removed at the end, but for logs if Keep is set
	Tier            string
	Programs        build.Programs
	Runtime         build.Unpacked // of Debian packages, for a real node
	Images          string         // archive to import into a real node
	APIServerArgs   []string
	CrashBackoffMax time.Duration
	Nodes, Pods     int    // simulated
	Snapshot        string // archive of a filled etcd; made when missing
	Detach, Keep    bool

	Ports Ports // set by the supervisor
}

// Ports are where the programs listen.
type Ports struct{ API, Etcd, EtcdPeer, Kwok int }

// Event is one line of the supervisor's standard output.
type Event struct {
	Progress string `json:",omitempty"`
	Error    string `json:",omitempty"`
	Ready    bool   `json:",omitempty"`
	Pid      int    `json:",omitempty"` // of a process in the node's namespaces, with Ready
}

// Paths in the state folder, seen by whoever started the supervisor.
const (
	KubeconfigFile = "kubeconfig"
	AuditFile      = "log/audit.log"
	PKIDir         = "pki"
	LogFile        = "supervisor.log"
)

// Root is where a real node keeps its state, in its own mount namespace;
// [Socket] is containerd's address there.
const (
	Root   = "/run/toolcrib"
	Socket = Root + "/c.sock"
)

// PauseImage and BusyboxImage are loaded into every real node.
const (
	PauseImage   = "toolcrib.test/pause:1"
	BusyboxImage = "toolcrib.test/busybox:1"
)

// NodeIP is the real node's address, in its own network.
const NodeIP = "10.200.0.1"

const (
	specFile = "spec.json"
	nodeName = "node-1"
	loopback = "127.0.0.1"
)

func (s Spec) path(elements ...string) string {
	return filepath.Join(append([]string{s.Dir}, elements...)...)
}

// address is the API server's as the cluster's own programs reach it.
func (s Spec) address() string { return fmt.Sprintf("https://%s:%d", loopback, s.Ports.API) }

func (s Spec) write() error {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return os.WriteFile(s.path(specFile), data, 0o600)
}

func readSpec(dir string) (s Spec, err error) {
	data, err := os.ReadFile(filepath.Join(dir, specFile))
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return s, fmt.Errorf("read %s: %w", filepath.Join(dir, specFile), err)
	}
	return s, nil
}
