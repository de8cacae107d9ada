package deployed

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const steadyValues = `
replicas: 2
shutdown: {delaySeconds: 15} # that a busy node has to hear of pods that end
callers:
- {kind: ServiceAccount, namespace: agents, name: troubleshooter}
`

// An upgrade to another version of the chart, with another image and another
// pod template, and the way back, under calls all the while.
func TestAnUpgradeLosesNoCall(t *testing.T) {
	install(t, "steady", upgraded, steadyValues)
	server, token := find(t, "steady", "crib-kubernetes"), projected(t, "steady")
	kubectl(t, "wait", "poddisruptionbudget", "crib-kubernetes", "-n", "steady", "--for=jsonpath={.status.disruptionsAllowed}=1", "--timeout=15m")
	folder := t.TempDir()
	helm(t, "package", "../"+upgraded, "--version", nextVersion, "--app-version", nextVersion, "--destination", folder)
	next := filepath.Join(folder, upgraded+"-"+nextVersion+".tgz")

	calls := stream(t, server, token)
	current, err := appVersion(upgraded)
	require.NoError(t, err)
	replaced(t, current, nextVersion, func() {
		helm(t, "upgrade", "crib-kubernetes", next, "-n", "steady", "--reuse-values", "--set", "podAnnotations.changed=yes", "--wait", "--timeout", "15m")
	})
	during := calls.answered()
	replaced(t, nextVersion, current, func() {
		helm(t, "rollback", "crib-kubernetes", "1", "-n", "steady", "--wait", "--timeout", "15m")
	})
	calls.stop()
	require.Empty(t, calls.lost)
	require.Greater(t, during, 10)
	require.Greater(t, calls.answered()-during, 10)
	t.Logf("%d calls answered during the upgrade, %d during the rollback, none lost", during, calls.answered()-during)
}

// replaced changes the release and returns once the pods it had are gone.
func replaced(t *testing.T, from, to string, change func()) {
	t.Helper()
	pods := func() []string {
		return strings.Fields(kubectl(t, "get", "pods", "-n", "steady", "-o", "jsonpath={.items[*].metadata.name}"))
	}
	images := func() string {
		return kubectl(t, "get", "pods", "-n", "steady", "-o", "jsonpath={.items[*].spec.containers[*].image}")
	}
	before := pods()
	require.Len(t, before, 2)
	require.Equal(t, 2, strings.Count(images(), ":"+from))
	change()
	kubectl(t, append([]string{"wait", "-n", "steady", "--for=delete", "--timeout=15m", "pod"}, before...)...)
	require.Equal(t, 2, strings.Count(images(), ":"+to))
}

// callers call at a steady pace: half of them keep their connection, half make
// one for each call.
type callers struct {
	stop func()
	lost []string

	mu sync.Mutex
	ok int
}

const (
	everyKind = 2 // callers of either kind
	pace      = 100 * time.Millisecond
)

func stream(t *testing.T, server service, token string) *callers {
	t.Helper()
	c := &callers{}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	c.stop = func() { cancel(); running.Wait() }
	t.Cleanup(c.stop)
	for n := range 2 * everyKind {
		transport := server.transport(token)
		transport.DisableKeepAlives = n%2 == 0
		running.Go(func() {
			defer transport.CloseIdleConnections()
			for tick := time.NewTicker(pace); ; {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					c.count(call(context.WithoutCancel(ctx), server, transport))
				}
			}
		})
	}
	return c
}

func (c *callers) count(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		c.lost = append(c.lost, err.Error())
		return
	}
	c.ok++
}

func (c *callers) answered() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ok
}

// call makes one call of a tool and wants its answer in full.
func call(ctx context.Context, server service, transport http.RoundTripper) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	var on httptrace.GotConnInfo
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: func(i httptrace.GotConnInfo) { on = i }})
	defer func() {
		if err != nil {
			err = fmt.Errorf("at %s, connection reused: %t: %w", time.Now().Format(time.TimeOnly), on.Reused, err)
		}
	}()
	const body = `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"k8s_get_resources","arguments":{"resource_type":"configmaps","namespace":"shop"}}}`
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, server.url(), strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json, text/event-stream")
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err == nil && (resp.StatusCode != http.StatusOK || !strings.Contains(string(answer), "settings")) {
		err = fmt.Errorf("%s: %s", resp.Status, answer)
	}
	return err
}
