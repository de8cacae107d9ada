package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Setup is what a report is made of.
type Setup struct {
	Kubeconfig string // of a cluster with pods
	Kubectl    string // path of a kubectl
	Server     string // path of kubernetes-mcp
	Rounds     int    // measured rounds per comparison
	Selector   string // label selector of the pods that are compared
	Namespace  string // where they are
}

// Report measures and writes one markdown page to w.
func Report(ctx context.Context, w io.Writer, s Setup) error {
	srv, err := startServer(ctx, s)
	if err != nil {
		return err
	}
	defer srv.stop()
	idle, _, err := srv.Memory()
	if err != nil {
		return err
	}
	for _, part := range []func(context.Context, io.Writer, Setup, *server) error{reads, startUp, lists} {
		if err := part(ctx, w, s, srv); err != nil {
			return err
		}
	}
	if err := memory(ctx, w, srv, idle); err != nil {
		return err
	}
	return binarySize(w, s)
}

// reads compares one list of pods three ways.
func reads(ctx context.Context, w io.Writer, s Setup, srv *server) error {
	raw, err := rawList(s)
	if err != nil {
		return err
	}
	results, err := sideBySide(ctx, s.Rounds,
		contender{"raw HTTP list, as a table", raw},
		contender{"k8s_get_resources", func(ctx context.Context) (int, error) {
			return srv.call(ctx, "k8s_get_resources", map[string]any{"resource_type": "pods", "namespace": s.Namespace, "label_selector": s.Selector})
		}},
		contender{"kubectl get pods, a process", func(ctx context.Context) (int, error) {
			out, err := exec.CommandContext(ctx, s.Kubectl, "--kubeconfig", s.Kubeconfig, "get", "pods", "-n", s.Namespace, "-l", s.Selector).Output()
			return len(out), err
		}},
		contender{"kubectl get pods -o json", func(ctx context.Context) (int, error) {
			out, err := exec.CommandContext(ctx, s.Kubectl, "--kubeconfig", s.Kubeconfig, "get", "pods", "-n", s.Namespace, "-l", s.Selector, "-o", "json").Output()
			return len(out), err
		}},
	)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "## One list of pods (%s), %d rounds side by side\n\n| | p50 | p95 | bytes | p50 against ours |\n|---|---|---|---|---|\n", s.Selector, s.Rounds)
	ours := results[1].p50
	for _, r := range results {
		fmt.Fprintf(w, "| %s | %.1f ms | %.1f ms | %d | %.2f |\n", r.name, ms(r.p50), ms(r.p95), r.bytes, float64(r.p50)/float64(ours))
	}
	return nil
}

// startUp compares a handshake over stdio with starting kubectl to do nothing.
func startUp(ctx context.Context, w io.Writer, s Setup, _ *server) error {
	results, err := sideBySide(ctx, min(s.Rounds, 20),
		contender{"process start, handshake and tools/list over stdio", func(ctx context.Context) (int, error) {
			cmd := exec.Command(s.Server, "--kubeconfig", s.Kubeconfig, "--record=/dev/null", "--log-level=error")
			session, err := newClient().Connect(ctx, &mcp.CommandTransport{Command: cmd}, nil)
			if err != nil {
				return 0, err
			}
			defer session.Close()
			list, err := session.ListTools(ctx, nil)
			if err != nil {
				return 0, err
			}
			return modelBytes(list.Tools)
		}},
		contender{"kubectl version --client", func(ctx context.Context) (int, error) {
			out, err := exec.CommandContext(ctx, s.Kubectl, "version", "--client").Output()
			return len(out), err
		}},
	)
	if err != nil {
		return err
	}
	fmt.Fprint(w, "\n## Start-up\n\n| | p50 | p95 |\n|---|---|---|\n")
	for _, r := range results {
		fmt.Fprintf(w, "| %s | %.0f ms | %.0f ms |\n", r.name, ms(r.p50), ms(r.p95))
	}
	return nil
}

// lists reports what every request of a caller carries: the tools' descriptions.
func lists(ctx context.Context, w io.Writer, _ Setup, srv *server) error {
	list, err := srv.session.ListTools(ctx, nil)
	if err != nil {
		return fmt.Errorf("list tools: %w", err)
	}
	fmt.Fprint(w, "\n## What the tool list costs (read access)\n\n| tool | bytes of name, description and input schema |\n|---|---|\n")
	total := 0
	for _, t := range list.Tools {
		n, err := modelBytes([]*mcp.Tool{t})
		if err != nil {
			return err
		}
		total += n
		fmt.Fprintf(w, "| %s | %d |\n", t.Name, n)
	}
	fmt.Fprintf(w, "| **all %d** | **%d** |\n", len(list.Tools), total)
	return nil
}

// memory reports the server's memory idle and after every pod was listed.
func memory(ctx context.Context, w io.Writer, srv *server, idle int) error {
	rows, largest, err := srv.listAll(ctx)
	if err != nil {
		return err
	}
	now, peak, err := srv.Memory()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n## Memory\n\n| | MiB resident |\n|---|---|\n| idle | %.1f |\n| after listing %d pods page by page (largest answer %d bytes) | %.1f |\n| peak of the whole run | %.1f |\n",
		mib(idle), rows, largest, mib(now), mib(peak))
	return nil
}

func binarySize(w io.Writer, s Setup) error {
	info, err := os.Stat(s.Server)
	if err != nil {
		return fmt.Errorf("size of %s: %w", s.Server, err)
	}
	_, err = fmt.Fprintf(w, "\nStripped binary: %.1f MiB.\n", mib(int(info.Size())))
	return err
}

// rawList is the least any client could do: one authenticated GET.
func rawList(s Setup) (func(context.Context) (int, error), error) {
	config, err := clientcmd.BuildConfigFromFlags("", s.Kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", s.Kubeconfig, err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", err)
	}
	return func(ctx context.Context) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/api/v1/namespaces/"+s.Namespace+"/pods?limit=250&labelSelector="+s.Selector, nil)
		if err != nil {
			return 0, err
		}
		req.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
		res, err := client.Do(req)
		if err != nil {
			return 0, err
		}
		defer res.Body.Close()
		n, err := io.Copy(io.Discard, res.Body)
		return int(n), err
	}, nil
}

// modelBytes is the size of what a model is shown of tools.
func modelBytes(tools []*mcp.Tool) (int, error) {
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

func mib(bytes int) float64 { return float64(bytes) / (1 << 20) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
