package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxListBytes is what the tools of a read server may cost each caller.
const maxListBytes = 12 << 10

// footprint reports what a server costs beside the time of its calls: start-up,
// against a process that does nothing, tool list, memory and disk.
func footprint(ctx context.Context, w io.Writer, srv *server, rounds int, nothing contender) error {
	if err := startUp(ctx, w, srv, rounds, nothing); err != nil {
		return err
	}
	if err := lists(ctx, w, srv); err != nil {
		return err
	}
	info, err := os.Stat(srv.program)
	if err != nil {
		return fmt.Errorf("size of %s: %w", srv.program, err)
	}
	now, peak, err := srv.Memory()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n### Memory and disk\n\n| | MiB |\n|---|---|\n| resident when idle | %.1f |\n| resident after all of the above | %.1f |\n| peak of the whole run | %.1f |\n| stripped binary | %.1f |\n",
		mib(srv.idle), mib(now), mib(peak), mib(int(info.Size())))
	return nil
}

func startUp(ctx context.Context, w io.Writer, srv *server, rounds int, nothing contender) error {
	results, err := sideBySide(ctx, min(rounds, 20),
		contender{"process start, handshake and tools/list over stdio", func(ctx context.Context) (int, error) {
			session, err := srv.spawn(ctx)
			if err != nil {
				return 0, err
			}
			defer session.Close()
			list, err := session.ListTools(ctx, nil)
			if err != nil {
				return 0, err
			}
			return modelBytes(list.Tools...)
		}},
		nothing,
	)
	if err != nil {
		return err
	}
	fmt.Fprint(w, "\n### Start-up\n\n| | p50 | p95 |\n|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(w, "| %s | %.0f ms | %.0f ms |\n", r.name, ms(r.p50), ms(r.p95))
	}
	return nil
}

// lists reports what every request of a caller carries: the tools' descriptions.
func lists(ctx context.Context, w io.Writer, srv *server) error {
	list, err := srv.http.ListTools(ctx, nil)
	if err != nil {
		return fmt.Errorf("list tools: %w", err)
	}
	fmt.Fprint(w, "\n### What the tool list costs (read access)\n\n| tool | bytes of name, description and input schema |\n|---|---|\n")
	for _, t := range list.Tools {
		n, err := modelBytes(t)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "| %s | %d |\n", t.Name, n)
	}
	total, err := modelBytes(list.Tools...)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "| **all %d** (bar: at most %d) | **%d** |\n", len(list.Tools), maxListBytes, total)
	return nil
}

// modelBytes is the size of what a model is shown of tools.
func modelBytes(tools ...*mcp.Tool) (int, error) {
	total := 0
	for _, t := range tools {
		schema, err := json.Marshal(t.InputSchema)
		if err != nil {
			return 0, fmt.Errorf("schema of %s: %w", t.Name, err)
		}
		total += len(t.Name) + len(t.Description) + len(schema)
	}
	return total, nil
}
