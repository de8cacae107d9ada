package supervisor

import (
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/toolcrib/toolcrib/testbed/internal/netns"
)

// forward listens on a free loopback port and connects what comes in to an
// address in the network of process pid.
func forward(pid int, to string) (address string, err error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("forward to %s: %w", to, err)
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // the listener lives as long as the process
			}
			go join(c, pid, to)
		}
	}()
	return l.Addr().String(), nil
}

func join(outer net.Conn, pid int, to string) {
	defer outer.Close()
	inner, err := netns.Dial(pid, to)
	if err != nil {
		return // the caller sees its connection closed
	}
	defer inner.Close()
	var both sync.WaitGroup
	for _, c := range [][2]net.Conn{{inner, outer}, {outer, inner}} {
		both.Go(func() {
			_, _ = io.Copy(c[0], c[1])
			_ = c[0].(*net.TCPConn).CloseWrite() // the end of one direction is passed on
		})
	}
	both.Wait()
}
