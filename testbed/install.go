package testbed

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/testbed/proc"
)

// Install applies the manifests of files, and of folders' YAML files, and
// returns once the types among them are served and kubectl knows of them.
func (c *Cluster) Install(ctx context.Context, paths ...string) error {
	var all [][]byte
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
				return err
			}
		}
		for _, file := range files {
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			all = append(all, text)
		}
	}
	if err := c.Apply(ctx, bytes.Join(all, []byte("\n---\n"))); err != nil {
		return fmt.Errorf("install %s: %w", strings.Join(paths, ", "), err)
	}
	return c.awaitTypes(ctx)
}

// awaitTypes returns once the API server answers for each type that it was
// given. That a type is established it says a moment before.
func (c *Cluster) awaitTypes(ctx context.Context) error {
	types, err := c.Kubectl(ctx, "get", "crds", "--output=jsonpath={.items[*].metadata.name}")
	if err != nil || len(fields(types)) == 0 {
		return err
	}
	all := strings.Join(fields(types), ",")
	return proc.Until(ctx, "types "+all, 50*time.Millisecond, func(ctx context.Context) (bool, error) {
		_, err := c.Kubectl(ctx, "get", all, "--all-namespaces", "--output=name")
		return err == nil, err
	})
}
