package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// Runtime names the Debian packages a node needs beside Kubernetes.
var Runtime = []string{
	"containerd", "runc", "containernetworking-plugins", "busybox-static", "nftables",
	"libseccomp2", "libnftables1", "libnftnl11", "libmnl0", "libjansson4", "libgmp10",
	"libreadline8", "libedit2", "libtinfo6", "libxtables12",
}

// Unpacked is a folder of unpacked Debian packages.
type Unpacked string

// Debian returns the packages unpacked into the cache, downloading them the
// first time. Nothing is installed.
func Debian(ctx context.Context, progress io.Writer, packages ...string) (Unpacked, error) {
	cache, err := Cache()
	if err != nil {
		return "", err
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return "", fmt.Errorf("a real node needs Debian's packages: %w", err)
	}
	key, err := keyOf(append([]string{string(release), runtime.GOARCH}, packages...))
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "debian", key)
	if _, err := os.Stat(folder); err == nil {
		return Unpacked(folder), nil
	}
	unlock, err := Lock(ctx, "debian", progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(folder); err == nil {
		return Unpacked(folder), nil
	}
	start := time.Now()
	fmt.Fprintf(progress, "downloading %d Debian packages\n", len(packages))
	if err := unpack(ctx, folder, packages); err != nil {
		return "", fmt.Errorf("download Debian packages: %w", err)
	}
	fmt.Fprintf(progress, "downloaded and unpacked in %s\n", time.Since(start).Round(100*time.Millisecond))
	return Unpacked(folder), nil
}

func unpack(ctx context.Context, folder string, packages []string) error {
	if err := os.MkdirAll(filepath.Dir(folder), 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(folder), ".unpack")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	download := append([]string{"apt-get", "download", "-q", "-o", "APT::Sandbox::User=root"}, packages...)
	if err := run(ctx, work, download...); err != nil {
		if update := run(ctx, work, "apt-get", "update", "-q"); update != nil { // the lists may be missing or old
			return fmt.Errorf("%w; %w", err, update)
		}
		if err := run(ctx, work, download...); err != nil {
			return err
		}
	}
	debs, err := filepath.Glob(filepath.Join(work, "*.deb"))
	if err != nil {
		return err
	}
	tree := filepath.Join(work, "tree")
	for _, deb := range debs {
		if err := run(ctx, work, "dpkg", "-x", deb, tree); err != nil {
			return err
		}
	}
	if err := os.RemoveAll(filepath.Join(tree, "usr", "share")); err != nil {
		return err
	}
	return os.Rename(tree, folder)
}

func run(ctx context.Context, dir string, args ...string) error {
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		lines := strings.Split(string(bytes.TrimSpace(out)), "\n")
		return fmt.Errorf("%s %s: %w: %s", args[0], args[1], err, lines[len(lines)-1])
	}
	return nil
}

// Path returns a file's place below the folder.
func (u Unpacked) Path(elements ...string) string {
	return filepath.Join(append([]string{string(u)}, elements...)...)
}

// Env returns the environment in which the packages' programs find each other
// and their libraries.
func (u Unpacked) Env() []string {
	triple := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	return []string{
		"PATH=" + strings.Join([]string{u.Path("usr/bin"), u.Path("usr/sbin"), u.Path("bin"), os.Getenv("PATH")}, ":"),
		"LD_LIBRARY_PATH=" + u.Path("usr/lib", triple) + ":" + u.Path("lib", triple),
	}
}
