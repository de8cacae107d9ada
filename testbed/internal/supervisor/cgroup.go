package supervisor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroup is the name of the cluster's group in every hierarchy.
func (s Spec) cgroup() string { return "toolcrib-" + filepath.Base(s.Dir) }

// hierarchies are the roots of the kernel's cgroups: one with version 2,
// several with version 1.
func hierarchies() ([]string, error) {
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		return []string{cgroupRoot}, nil
	}
	procs, err := filepath.Glob(filepath.Join(cgroupRoot, "*", "cgroup.procs"))
	if err != nil {
		return nil, err
	}
	if len(procs) == 0 {
		return nil, fmt.Errorf("no cgroups at %s", cgroupRoot)
	}
	for i, p := range procs {
		procs[i] = filepath.Dir(p)
	}
	return procs, nil
}

func makeCgroups(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return err
	}
	for _, root := range roots {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if roots[0] == cgroupRoot {
		for _, dir := range []string{cgroupRoot, filepath.Join(cgroupRoot, name)} {
			// A controller that cannot be delegated is missed by the kubelet, which names it.
			_ = os.WriteFile(filepath.Join(dir, "cgroup.subtree_control"), []byte("+cpu +cpuset +memory +pids +io"), 0o644)
		}
	}
	return nil
}

// removeCgroups removes the group and all below it. The kernel refuses while a
// process of it is still going away, which takes a moment after a kill.
func removeCgroups(name string) error {
	roots, err := hierarchies()
	if err != nil {
		return nil // then there is no group either
	}
	deadline := time.Now().Add(time.Minute) // on a machine that is very busy
	for {
		var left error
		for _, root := range roots {
			left = errors.Join(left, removeTree(filepath.Join(root, name)))
		}
		if left == nil || time.Now().After(deadline) {
			return left
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func removeTree(dir string) error {
	var groups []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			groups = append(groups, path)
		}
		return nil // what is gone already is no error
	})
	if err != nil {
		return err
	}
	slices.Reverse(groups)
	var left error
	for _, g := range groups {
		if err := os.Remove(g); err != nil && !errors.Is(err, fs.ErrNotExist) {
			left = err
		}
	}
	return left
}
