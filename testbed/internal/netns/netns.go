// Package netns reaches into the network namespace of another process.
package netns

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// Dial connects over TCP to an address, given as IP and port, as seen from the
// network of process pid.
func Dial(pid int, address string) (net.Conn, error) {
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	type dialled struct {
		net.Conn
		error
	}
	result := make(chan dialled)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, which has changed networks, ends here
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- dialled{nil, fmt.Errorf("enter the network of process %d: %w", pid, err)}
			return
		}
		c, err := net.DialTimeout("tcp", address, 10*time.Second)
		result <- dialled{c, err}
	}()
	d := <-result
	return d.Conn, d.error
}
