package mcpkit

import (
	"context"
	"io"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// serveStdio serves one client over in and out until in ends or ctx is done.
func (s *Server) serveStdio(ctx context.Context, in io.ReadCloser, out io.Writer, grace time.Duration) error {
	return s.mcp.Run(ctx, &mcp.IOTransport{Reader: in, Writer: keepOpen{out}})
}

// keepOpen is standard output, which is not ours to close.
type keepOpen struct{ io.Writer }

func (keepOpen) Close() error { return nil }
