package supervisor

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// Init is the first process of a real node's namespaces: it makes the mounts
// and the network private to them, starts the node and adopts its orphans.
// When it ends, the kernel ends everything else in there.
func Init(dir string) error {
	s, err := readSpec(dir)
	if err != nil {
		return err
	}
	if err := s.mount(); err != nil {
		return err
	}
	if err := s.makeNetwork(); err != nil {
		return err
	}
	node, err := os.StartProcess(s.Programs["toolcrib-testbed"], []string{"toolcrib-testbed", "node", dir}, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{nil, os.Stdout, os.Stderr},
	})
	if err != nil {
		return err
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait for the node: %w", err)
		}
		if pid == node.Pid {
			return fmt.Errorf("the node's runner ended: %v", status.ExitStatus())
		}
	}
}

// sysctls are the values the kubelet insists on; it is shown files that hold
// them, and the host's stay as they are.
var sysctls = map[string]string{
	"vm/overcommit_memory":      "1",
	"vm/panic_on_oom":           "0",
	"kernel/panic":              "10",
	"kernel/panic_on_oops":      "1",
	"kernel/keys/root_maxkeys":  "1000000",
	"kernel/keys/root_maxbytes": "25000000",
}

// hostFolders are written to by programs that cannot be told otherwise.
var hostFolders = []string{"/opt", "/run", "/var/lib", "/var/log", "/usr/libexec"}

// mount makes all that a node changes private: its state is in memory, and
// what it writes to the host's folders goes to layers above them.
func (s Spec) mount() error {
	fs := s.path("fs")
	if err := os.MkdirAll(fs, 0o755); err != nil {
		return err
	}
	if err := mountAll([]mountpoint{
		{"none", "/", "", syscall.MS_REC | syscall.MS_PRIVATE, ""},
		{"none", "/", "", syscall.MS_REC | syscall.MS_SHARED, ""}, // volumes propagate within the namespace
		{"proc", "/proc", "proc", syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC, ""},
		{"tmpfs", fs, "tmpfs", 0, "mode=755"},
	}); err != nil {
		return err
	}
	for name, value := range sysctls {
		if err := mountFile(filepath.Join(fs, "sysctl", name), value+"\n", "/proc/sys/"+name); err != nil {
			return err
		}
	}
	// A resolver that does not answer makes pulls of unknown images fail at once.
	if err := mountFile(filepath.Join(fs, "resolv.conf"), "nameserver 127.0.0.1\n", "/etc/resolv.conf"); err != nil {
		return err
	}
	for _, folder := range hostFolders {
		if err := mountLayer(folder, filepath.Join(fs, "upper", folder), filepath.Join(fs, "work", folder)); err != nil {
			return err
		}
	}
	state := filepath.Join(fs, "state")
	if err := errors.Join(os.MkdirAll(state, 0o755), os.MkdirAll(Root, 0o755)); err != nil {
		return err
	}
	return mountAll([]mountpoint{{state, Root, "", syscall.MS_BIND, ""}})
}

// mountFile shows a file of ours in place of one that exists.
func mountFile(file, content, at string) error {
	if _, err := os.Stat(at); err != nil {
		return nil // not every kernel has every sysctl
	}
	if err := writeFile(file, content); err != nil {
		return err
	}
	return mountAll([]mountpoint{{file, at, "", syscall.MS_BIND, ""}})
}

// mountLayer catches what is written to a folder.
func mountLayer(folder, upper, work string) error {
	if err := errors.Join(os.MkdirAll(upper, 0o755), os.MkdirAll(work, 0o755)); err != nil {
		return err
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", folder, upper, work)
	return mountAll([]mountpoint{{"overlay", folder, "overlay", 0, layers}})
}

type mountpoint struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

func mountAll(steps []mountpoint) error {
	for _, m := range steps {
		if err := syscall.Mount(m.source, m.target, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s at %s: %w", m.source, m.target, err)
		}
	}
	return nil
}

// makeNetwork gives the namespace a loopback and a bridge with the node's
// address: Kubernetes takes no loopback address for a node. The gateway of the
// default route does not exist; without the route no Service address is tried.
func (s Spec) makeNetwork() error {
	busybox := s.Runtime.Path("bin/busybox")
	for _, args := range []string{
		"ip link set lo up",
		"ip link add toolcrib0 type bridge",
		"ip addr add " + NodeIP + "/24 dev toolcrib0",
		"ip link set toolcrib0 up",
		"ip route add default via 10.200.0.254",
	} {
		if out, err := exec.Command(busybox, strings.Fields(args)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", args, err, strings.TrimSpace(string(out)))
		}
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644)
}

func writeFile(path, content string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(content), 0o644)
}
