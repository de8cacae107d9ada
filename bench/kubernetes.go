package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/toolcrib/toolcrib/testbed"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// The pods that are compared.
const (
	podNamespace = "scale-1"
	podSelector  = "app=app-1"
)

// Kubernetes measures kubernetes-mcp beside a raw request and a kubectl
// process, on a cluster of 1,000 nodes and 10,000 pods.
func Kubernetes(ctx context.Context, w io.Writer, o Options) error {
	cluster, err := testbed.Start(ctx, testbed.Options{Tier: testbed.Scale, Progress: o.Progress})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	srv, err := startServer(ctx, o.program("kubernetes-mcp"), "--kubeconfig", cluster.Kubeconfig)
	if err != nil {
		return err
	}
	defer srv.stop()
	fmt.Fprint(w, "\n## kubernetes\n\nBeside a raw request and a kubectl process, on a simulated cluster of 1,000 nodes and 10,000 pods.\n")
	if err := podList(ctx, w, o, srv, cluster); err != nil {
		return err
	}
	pods, largest, err := listAll(ctx, srv)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\nAll %d pods were listed page by page; the largest answer had %d bytes, text and structured together.\n", pods, largest)
	return footprint(ctx, w, srv, o.Rounds, process("kubectl version --client", command{program: cluster.KubectlPath(), args: []string{"version", "--client"}}))
}

// podList compares one list of pods four ways.
func podList(ctx context.Context, w io.Writer, o Options, srv *server, cluster *testbed.Cluster) error {
	raw, err := rawList(cluster.Kubeconfig)
	if err != nil {
		return err
	}
	get := func(more ...string) command {
		line := []string{"--kubeconfig", cluster.Kubeconfig, "get", "pods", "-n", podNamespace, "-l", podSelector}
		return command{program: cluster.KubectlPath(), args: append(line, more...)}
	}
	results, err := sideBySide(ctx, o.Rounds,
		contender{"raw HTTP list, as a table", raw},
		over("k8s_get_resources", srv.http, "k8s_get_resources", args{"resource_type": "pods", "namespace": podNamespace, "label_selector": podSelector}),
		process("kubectl get pods, a process", get()),
		process("kubectl get pods -o json", get("-o", "json")),
	)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n### One list of pods (%s), %d rounds side by side\n\n| | p50 | p95 | bytes | p50 against ours |\n|---|---|---|---|---|\n", podSelector, o.Rounds)
	ours := results[1].p50
	for _, r := range results {
		fmt.Fprintf(w, "| %s | %.1f ms | %.1f ms | %d | %.2f |\n", r.name, ms(r.p50), ms(r.p95), r.bytes, float64(r.p50)/float64(ours))
	}
	return nil
}

// rawList is the least any client could do: one authenticated GET.
func rawList(kubeconfig string) (func(context.Context) (int, error), error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("HTTP client: %w", err)
	}
	return func(ctx context.Context) (int, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/api/v1/namespaces/"+podNamespace+"/pods?limit=250&labelSelector="+podSelector, nil)
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

// listAll pages through every pod and returns how many there were and the
// bytes of the largest answer, text and structured together.
func listAll(ctx context.Context, srv *server) (pods, largest int, err error) {
	token := ""
	for {
		a, err := srv.ask(ctx, "k8s_get_resources", args{"resource_type": "pods", "all_namespaces": true, "limit": 1000, "continue": token})
		if err != nil {
			return 0, 0, err
		}
		var page struct {
			Rows     [][]string `json:"rows"`
			Continue string     `json:"continue"`
		}
		if err := json.Unmarshal(a.structured, &page); err != nil {
			return 0, 0, fmt.Errorf("structured result: %w", err)
		}
		pods, largest = pods+len(page.Rows), max(largest, a.whole())
		if token = page.Continue; token == "" {
			return pods, largest, nil
		}
	}
}
