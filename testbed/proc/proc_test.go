package proc

import (
	"context"
	"errors"
	"net"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStop(t *testing.T) {
	g := Group{Logs: t.TempDir(), Env: []string{"GREETING=hello"}}
	gentle, err := g.Start("gentle", "/bin/sleep", "1000")
	require.NoError(t, err)
	stubborn, err := g.Start("stubborn", "/bin/sh", "-c", `trap "" TERM; echo $GREETING; while :; do sleep 0.1; done`)
	require.NoError(t, err)
	ready := func(context.Context) (bool, error) { return tail(stubborn.Log) == "hello", nil }
	require.NoError(t, Until(t.Context(), "the trap", 10*time.Millisecond, ready, gentle, stubborn))

	g.Stop(200 * time.Millisecond)
	require.ErrorContains(t, gentle.Err(), "gentle ended (signal: terminated)")
	require.ErrorContains(t, stubborn.Err(), "stubborn ended (signal: killed): hello")
}

func TestUntil(t *testing.T) {
	g := Group{Logs: t.TempDir()}
	p, err := g.Start("short", "/bin/sh", "-c", "echo bad flag >&2; exit 2")
	require.NoError(t, err)
	never := func(context.Context) (bool, error) { return false, errors.New("no answer") }
	require.EqualError(t, Until(t.Context(), "the port", time.Millisecond, never, p), "wait for the port: short ended (exit status 2): bad flag")

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorContains(t, Until(ctx, "the port", time.Millisecond, never), "no answer")
}

func TestFreePorts(t *testing.T) {
	ports, err := FreePorts(5)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, port := range ports {
		require.False(t, seen[port])
		seen[port] = true
		l, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		require.NoError(t, err)
		require.NoError(t, l.Close())
		_, err = net.Listen("unix", reservation(port))
		require.ErrorIs(t, err, syscall.EADDRINUSE, "nobody else is given it")
	}
}
