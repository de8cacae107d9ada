package charts

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
)

// cluster has a node, since most charts are told apart by what their pods do.
var cluster *testbed.Cluster

func TestMain(m *testing.M) {
	os.Exit(testbed.Main(m, testbed.Options{Tier: testbed.Node}, func(c *testbed.Cluster) { cluster = c }))
}

// helm runs a command line of a Helm whose home is a folder of the test.
type helm struct {
	path string
	env  []string
}

func newHelm(t *testing.T, b build.Binary) helm {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Minute) // the first time it is built
	defer cancel()
	programs, err := build.Build(ctx, os.Stderr, b)
	require.NoError(t, err)
	home := t.TempDir()
	return helm{programs[b.Name], append(os.Environ(),
		"HELM_CACHE_HOME="+filepath.Join(home, "cache"), "HELM_CONFIG_HOME="+filepath.Join(home, "config"),
		"HELM_DATA_HOME="+filepath.Join(home, "data"), "KUBECONFIG="+cluster.Kubeconfig)}
}

func (h helm) try(t *testing.T, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, h.path, args...)
	cmd.Env = h.env
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func (h helm) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := h.try(t, args...)
	require.NoError(t, err, out)
	return out
}

// fails returns what Helm says to a command line it cannot serve.
func (h helm) fails(t *testing.T, args ...string) string {
	t.Helper()
	out, err := h.try(t, args...)
	require.Error(t, err, out)
	return out
}

// namespace is one of the test's own.
func namespace(t *testing.T, name string) string {
	t.Helper()
	_, err := cluster.Kubectl(t.Context(), "create", "namespace", name)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.Kubectl(context.Background(), "delete", "namespace", name, "--wait=false")
		require.NoError(t, err)
	})
	return name
}

func TestHelmReadsBoth(t *testing.T) {
	t.Parallel()
	r := started(t, Options{})
	for _, b := range []build.Binary{build.Helm, build.Helm4} {
		h := newHelm(t, b)
		h.run(t, "repo", "add", "shop", r.URL(Plain))
		require.Contains(t, h.run(t, "search", "repo", "shop/web"), "1.2.0")
		require.Contains(t, h.run(t, "search", "repo", "shop/web", "--devel"), "1.3.0-rc.1")
		require.Contains(t, h.run(t, "show", "values", "shop/web", "--version=1.0.0"), "adminPassword: "+Secrets[0])
		require.Contains(t, h.run(t, "show", "readme", "shop/web"), "Serves one page")
		require.Contains(t, h.run(t, "show", "chart", "shop/deprecated"), "deprecated: true")
		require.Contains(t, h.run(t, "show", "chart", "shop/library"), "type: library")

		pulled := t.TempDir()
		h.run(t, "pull", "shop/web", "--version=1.1.0", "-d", pulled)
		h.run(t, "pull", r.OCI(Plain, "cache"), "--version=1.3.0+build.5", "--plain-http", "-d", pulled)
		for _, c := range []Chart{{"web", "1.1.0"}, {"cache", "1.3.0+build.5"}} {
			got, err := os.ReadFile(filepath.Join(pulled, c.FileName()))
			require.NoError(t, err)
			packed, err := c.Archive()
			require.NoError(t, err)
			require.True(t, bytes.Equal(packed, got), c.FileName())
		}
		require.Contains(t, h.run(t, "show", "chart", r.OCI(Plain, "web"), "--plain-http"), "version: 1.2.0")
		require.Contains(t, h.run(t, "template", "shop/umbrella"), "maxmemory 64mb")
	}
}

// TestHelmKeepsPasswords proves by the record where Helm's credentials went.
func TestHelmKeepsPasswords(t *testing.T) {
	t.Parallel()
	r := started(t, Options{User: "ada", Password: "s3cret-pass", TLS: true, Charts: All[:3]})
	h := newHelm(t, build.Helm)
	require.Contains(t, h.fails(t, "repo", "add", "shop", r.URL(Plain), "--ca-file", r.CAFile), "401 Unauthorized")
	require.Contains(t, h.fails(t, "repo", "add", "shop", r.URL(Plain), "--username=ada", "--password=s3cret-pass"), "certificate")
	h.run(t, "repo", "add", "shop", r.URL(ArchivesElsewhere), "--ca-file", r.CAFile, "--username=ada", "--password=s3cret-pass")
	h.run(t, "pull", "shop/web", "-d", t.TempDir())
	h.run(t, "registry", "login", r.Home, "--ca-file", r.CAFile, "--username=ada", "--password=s3cret-pass")
	h.run(t, "pull", r.OCI(Plain, "web"), "--ca-file", r.CAFile, "-d", t.TempDir())
	h.run(t, "pull", r.OCI(Redirect, "web"), "--version=1.0.0", "--ca-file", r.CAFile, "-d", t.TempDir())

	seen, err := r.Requests()
	require.NoError(t, err)
	carried, elsewhere := map[string]int{}, map[string]int{}
	for _, s := range seen {
		if s.Carries("ada", "s3cret-pass") {
			carried[s.Server+" "+s.Path]++
		}
		if s.Server == "elsewhere" {
			elsewhere[s.Path]++
			require.Empty(t, s.Authorization, s.Path)
		}
	}
	require.Positive(t, carried["home /elsewhere/index.yaml"])
	require.Positive(t, carried["home /v2/charts/web/manifests/1.2.0"])
	require.Positive(t, elsewhere["/charts/web-1.2.0.tgz"])
	require.Positive(t, elsewhere["/v2/charts/web/manifests/1.0.0"])
}

func TestHelmInstalls(t *testing.T) {
	t.Parallel()
	r := started(t, Options{})
	for _, b := range []build.Binary{build.Helm, build.Helm4} {
		h, ns := newHelm(t, b), namespace(t, "charts-"+b.Name)
		require.Contains(t, h.run(t, "version"), strings.TrimPrefix(b.LDFlags[strings.LastIndex(b.LDFlags, "=")+1:], "v"))
		notes := h.run(t, "install", "shop", "web", "--repo", r.URL(Plain), "--version=1.0.0", "-n", ns)
		require.Contains(t, notes, "password: "+Secrets[0])
		h.run(t, "upgrade", "shop", "web", "--repo", r.URL(Plain), "-n", ns)
		var releases []struct{ Name, Chart, Status, Revision string }
		require.NoError(t, json.Unmarshal([]byte(h.run(t, "list", "-n", ns, "-o", "json")), &releases))
		require.Len(t, releases, 1)
		require.Equal(t, "shop web-1.2.0 deployed 2", strings.Join([]string{releases[0].Name, releases[0].Chart, releases[0].Status, releases[0].Revision}, " "))
		h.run(t, "uninstall", "shop", "-n", ns)
	}
}

// TestChartsDoWhatTheySay installs each chart that waits or fails.
func TestChartsDoWhatTheySay(t *testing.T) {
	t.Parallel()
	r := started(t, Options{})
	h, ns := newHelm(t, build.Helm), namespace(t, "charts-faults")
	install := func(name, chart string, args ...string) []string {
		return append([]string{"install", name, chart, "--repo", r.URL(Plain), "-n", ns}, args...)
	}
	h.run(t, install("ready", "web", "--wait", "--timeout=2m", "--set=replicas=1")...)
	h.run(t, install("soon", "slow", "--wait", "--timeout=2m", "--set=readyAfterSeconds=1")...)
	require.Contains(t, h.fails(t, install("never", "slow", "--wait", "--timeout=3s")...), "context deadline exceeded")
	h.run(t, install("hooked", "with-hooks", "--timeout=2m")...)
	require.Contains(t, h.fails(t, install("failed", "with-hooks", "--timeout=2m", "--set=hooks.postInstall=fail")...), "failed post-install")
	requireLogs(t, ns, "failed-post-install", HookFailure)
	require.Contains(t, h.fails(t, install("hung", "with-hooks", "--timeout=5s", "--set=hooks.preInstall=hang")...), "timed out waiting")
	requireLogs(t, ns, "hung-pre-install", HookHang)
	h.run(t, install("backed-up", "crds")...)
	require.Contains(t, h.run(t, "get", "manifest", "backed-up", "-n", ns), "kind: Backup")
	require.Contains(t, h.fails(t, install("big", "big")...), "Too long")
	require.Contains(t, h.fails(t, install("lib", "library")...), "library charts are not installable")
	require.Contains(t, h.fails(t, install("web", "web", "--set=replicas=none")...), "got string, want integer")
	for cause, says := range map[string]string{
		"template": "nil pointer evaluating interface {}.host", "required": "set host to the name the shop is reached by",
		"yaml": "YAML parse error", "kind": `no matches for kind "Teapot"`, "api": "must consist of lower case",
	} {
		require.Contains(t, h.fails(t, install("broken-"+cause, "broken", "--set=cause="+cause)...), says, cause)
	}
	h.run(t, install("mended", "broken", "--set=cause=nothing")...)
}

// requireLogs waits until a Job's pod, which may only begin now, has said text.
func requireLogs(t *testing.T, namespace, job, text string) {
	t.Helper()
	require.Eventually(t, func() bool {
		out, err := cluster.Kubectl(t.Context(), "logs", "-n", namespace, "job/"+job)
		return err == nil && strings.Contains(string(out), text)
	}, 5*time.Minute, 200*time.Millisecond, "%s says %s", job, text)
}
