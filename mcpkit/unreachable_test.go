package mcpkit_test

import (
	"errors"
	"net"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestUnreachable(t *testing.T) {
	for text, cause := range map[string]error{
		"unavailable: cannot list pods: the API server's name api.test does not resolve":         &url.Error{Op: "Get", URL: "https://user:secret@api.test", Err: &net.OpError{Err: &net.DNSError{Name: "api.test"}}},
		"unavailable: cannot list pods: the API server cannot be reached (connection refused)":   &url.Error{Op: "Get", URL: "https://user:secret@api.test", Err: &net.OpError{Err: errors.New("connection refused")}},
		"unavailable: cannot list pods: the API server cannot be reached (unexpected EOF twice)": &url.Error{Op: "Get", URL: "https://user:secret@api.test", Err: errors.New("unexpected EOF twice")},
	} {
		err := mcpkit.Unreachable(cause, "list pods", "the API server")
		require.EqualError(t, err, text)
		require.ErrorIs(t, err, cause)
	}
	plain := errors.New("a bug")
	err := mcpkit.Unreachable(plain, "list pods", "the API server")
	require.ErrorIs(t, err, plain)
	var known *mcpkit.Error
	require.False(t, errors.As(err, &known))
}
