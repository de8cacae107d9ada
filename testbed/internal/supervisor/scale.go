package supervisor

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/toolcrib/toolcrib/testbed/internal/archive"
	"github.com/toolcrib/toolcrib/testbed/internal/kubeapi"
)

// SnapshotName names the archive of a cluster filled as the spec wants.
func (s Spec) SnapshotName() string {
	made := sha256.Sum256(fmt.Append(nil, fill, s.Nodes, s.Pods, filepath.Dir(s.Programs["kube"]), filepath.Dir(s.Programs["etcd"])))
	return fmt.Sprintf("scale-%dx%d-%x.tar.gz", s.Nodes, s.Pods, made[:6])
}

// startScale starts a control plane on a copy of a filled etcd, which it makes
// first where it is missing.
func (s *supervisor) startScale(ctx context.Context) error {
	if _, err := os.Stat(s.Snapshot); err != nil {
		s.progress("filling a cluster with %d nodes and %d pods, once", s.Nodes, s.Pods)
		if err := s.fill(ctx); err != nil {
			return err
		}
	}
	if err := archive.Unpack(s.Snapshot, s.path("etcd")); err != nil {
		return fmt.Errorf("restore %s: %w", s.Snapshot, err)
	}
	if err := s.startControlPlane(ctx); err != nil {
		return err
	}
	_, err := s.startKwok()
	return err
}

// fill makes the snapshot.
func (s *supervisor) fill(ctx context.Context) error {
	if err := s.startControlPlane(ctx); err != nil {
		return err
	}
	if err := s.simulate(ctx); err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	if err := tidy(ctx, client); err != nil {
		return fmt.Errorf("tidy the filled cluster: %w", err)
	}
	s.procs.Stop(5 * time.Second)
	if err := archive.Pack(s.path("etcd"), s.Snapshot); err != nil {
		return fmt.Errorf("write %s: %w", s.Snapshot, err)
	}
	return os.RemoveAll(s.path("etcd"))
}

// tidy deletes what would only expire in every copy: events.
func tidy(ctx context.Context, client *kubeapi.Client) error {
	paths := []string{"/api/v1/namespaces/default/events"}
	for i := range simulatedNamespaces {
		paths = append(paths, fmt.Sprintf("/api/v1/namespaces/scale-%d/events", i))
	}
	for _, path := range paths {
		if err := client.Delete(ctx, path); err != nil {
			return err
		}
	}
	return nil
}
