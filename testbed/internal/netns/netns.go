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
	return within(pid, func() (net.Conn, error) { return net.DialTimeout("tcp", address, 10*time.Second) })
}

// Listen listens over TCP on an address of the network of process pid, given as
// IP and port. The listener is served from the caller's own network.
func Listen(pid int, address string) (net.Listener, error) {
	return within(pid, func() (net.Listener, error) { return net.Listen("tcp", address) })
}

// within opens a socket in the network of process pid, where it stays.
func within[T any](pid int, open func() (T, error)) (T, error) {
	var none T
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return none, err
	}
	defer ns.Close()
	type opened struct {
		socket T
		err    error
	}
	result := make(chan opened)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread, which has changed networks, ends here
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- opened{none, fmt.Errorf("enter the network of process %d: %w", pid, err)}
			return
		}
		socket, err := open()
		result <- opened{socket, err}
	}()
	o := <-result
	return o.socket, o.err
}
