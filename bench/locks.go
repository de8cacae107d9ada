package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/served"
	authv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// maxLocks is what a known caller may pay for being known.
const maxLocks = time.Millisecond

// lockedTool is granted to the caller of this comparison.
const lockedTool = `
apiVersion: v1
kind: ServiceAccount
metadata: {name: agent, namespace: default}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: caller, namespace: default}
rules: [{apiGroups: [toolcrib.dev], resources: [tools], verbs: [call], resourceNames: [k8s_get_resources]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: caller, namespace: default}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: caller}
subjects: [{kind: ServiceAccount, name: agent, namespace: default}]
`

const lockedAudience = "bench"

// Locks measures what authentication and authorization by the cluster add to a
// call: the same call of the same program with them and without, one after the
// other.
func Locks(ctx context.Context, w io.Writer, o Options) error {
	cluster, err := testbed.Start(ctx, testbed.Options{Progress: o.Progress})
	if err != nil {
		return err
	}
	defer cluster.Stop()
	if err := cluster.Apply(ctx, []byte(lockedTool)); err != nil {
		return err
	}
	var urls []string
	for _, auth := range []string{"--auth=none", "--auth=kubernetes"} {
		logs, err := os.MkdirTemp("", "toolcrib-bench-")
		if err != nil {
			return fmt.Errorf("folder for logs: %w", err)
		}
		defer os.RemoveAll(logs)
		s, err := served.Start(ctx, logs, o.program("kubernetes-mcp"), auth, "--audience="+lockedAudience, "--locks-namespace=default", "--caller-rate=1000000",
			"--locks-kubeconfig="+cluster.Kubeconfig, "--kubeconfig="+cluster.Kubeconfig, "--record=/dev/null")
		if err != nil {
			return err
		}
		defer s.Stop()
		urls = append(urls, s.URL)
	}
	rounds := 4 * o.Rounds // calls are short, and so is what is looked for
	tokens, err := newTokens(ctx, cluster.Kubeconfig, rounds+2)
	if err != nil {
		return err
	}
	open := contender{"--auth=none", func(ctx context.Context) (int, error) { return getNamespace(ctx, urls[0], "") }}
	results, err := sideBySide(ctx, rounds, open,
		contender{"--auth=kubernetes, a caller it knows", func(ctx context.Context) (int, error) { return getNamespace(ctx, urls[1], tokens[0]) }})
	if err != nil {
		return err
	}
	next := 1
	cold, err := sideBySide(ctx, rounds, open, contender{"--auth=kubernetes, a token it has never seen", func(ctx context.Context) (int, error) {
		next++
		return getNamespace(ctx, urls[1], tokens[next-1])
	}})
	if err != nil {
		return err
	}
	results = append(results, cold[1])
	reportLocks(w, rounds, results)
	return nil
}

func reportLocks(w io.Writer, rounds int, results []result) {
	fmt.Fprintf(w, "\n## locks\n\nWhat `--auth=kubernetes` adds to a call: the same read of one namespace by the same program, with it and without, %d rounds side by side. A new token costs a TokenReview and a SubjectAccessReview; the answers are kept for seconds.\n\n| | p50 | p95 | p50 less that without |\n|---|---|---|---|\n", rounds)
	without := results[0].p50
	for _, r := range results {
		fmt.Fprintf(w, "| %s | %.2f ms | %.2f ms | %.2f ms |\n", r.name, ms(r.p50), ms(r.p95), ms(r.p50-without))
	}
	verdict := "reached"
	if results[1].p50-without >= maxLocks {
		verdict = "**missed**"
	}
	fmt.Fprintf(w, "\nBar: a known caller pays under %.0f ms at p50: %s.\n", ms(maxLocks), verdict)
}

// newTokens are tokens of the caller that no server has seen.
func newTokens(ctx context.Context, kubeconfig string, n int) ([]string, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	config.QPS = -1
	api, err := client.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of %s: %w", kubeconfig, err)
	}
	var out []string
	for range n {
		made, err := api.CoreV1().ServiceAccounts("default").CreateToken(ctx, "agent", &authv1.TokenRequest{Spec: authv1.TokenRequestSpec{Audiences: []string{lockedAudience}}}, metav1.CreateOptions{})
		if err != nil {
			return nil, fmt.Errorf("make a token: %w", err)
		}
		out = append(out, made.Status.Token)
	}
	return out, nil
}

// getNamespace calls the tool with one request and nothing before it, so that a
// new caller is new.
func getNamespace(ctx context.Context, url, token string) (int, error) {
	const call = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"k8s_get_resources","arguments":{"resource_type":"namespaces","resource_name":"kube-system"}}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(call))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err == nil && (res.StatusCode != http.StatusOK || !strings.Contains(string(body), "kube-system") || strings.Contains(string(body), `"isError":true`)) {
		err = fmt.Errorf("%s: %s", res.Status, beginning(string(body)))
	}
	return len(body), err
}
