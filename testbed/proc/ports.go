package proc

import (
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
)

// FreePorts returns n loopback ports that nobody listens on, and that it gives
// to no other process while this one lives. They lie below the range the kernel
// hands to outgoing connections, so that only a server of somebody else can take
// them before use.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range 100 * n {
		port := 20000 + rand.IntN(12000)
		if !reserve(port) {
			continue
		}
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		l.Close()
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("find %d free loopback ports", n)
}

var reserved struct {
	sync.Mutex
	ports []net.Listener
}

// reserve takes a port without listening on it, by a name that the kernel gives
// to one process at a time.
func reserve(port int) bool {
	l, err := net.Listen("unix", reservation(port))
	if err != nil {
		return false
	}
	reserved.Lock()
	defer reserved.Unlock()
	reserved.ports = append(reserved.ports, l) // one that nobody refers to is closed
	return true
}

// reservation is an address in the abstract namespace: it leaves no file.
func reservation(port int) string { return fmt.Sprintf("@toolcrib-port-%d", port) }
