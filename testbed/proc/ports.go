package proc

import (
	"fmt"
	"math/rand/v2"
	"net"
)

// FreePorts returns n loopback ports that nobody listens on. They lie below
// the range the kernel hands to outgoing connections, so that only another
// server can take them before use.
func FreePorts(n int) ([]int, error) {
	var ports []int
	for range 100 * n {
		port := 20000 + rand.IntN(12000)
		l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			continue
		}
		defer l.Close() // all stay taken until the last is found
		if ports = append(ports, port); len(ports) == n {
			return ports, nil
		}
	}
	return nil, fmt.Errorf("find %d free loopback ports", n)
}
