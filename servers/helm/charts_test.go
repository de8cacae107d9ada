package helm

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// The user of repositories that ask for one.
const (
	chartUser     = "ada"
	chartPassword = "NotForYourEyes-repo"
)

// chartRepository is a real chart repository and registry for one test.
func chartRepository(t testing.TB, o charts.Options) *charts.Repository {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // the first time it is built
	defer cancel()
	r, err := charts.Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	return r
}

// locked are the options of a repository that asks for a password.
func locked() charts.Options {
	return charts.Options{User: chartUser, Password: chartPassword}
}

// repositoryFile writes a repositories file: one entry for each pair of name
// and URL, the rest of the entry after the URL.
func repositoryFile(t testing.TB, pairs ...string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("apiVersion: \"\"\nrepositories:\n")
	for i := 0; i < len(pairs); i += 2 {
		url, rest, _ := strings.Cut(pairs[i+1], ",")
		fmt.Fprintf(&b, "- {name: %s, url: %q, %s}\n", pairs[i], url, rest)
	}
	path := filepath.Join(t.TempDir(), "repositories.yaml")
	require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o600))
	return path
}

// withUser is the rest of an entry, for repositories that ask for a password.
const withUser = ", username: " + chartUser + ", password: " + chartPassword

// chartBackend may have charts of the given repositories, and of r's registry
// over plain HTTP. It has no cluster.
func chartBackend(t testing.TB, r *charts.Repository, pairs ...string) *Backend {
	t.Helper()
	return New(Config{
		Cluster:             clientgo.Cluster{Kubeconfig: "/nonexistent", UserAgent: "helm-mcp/test"},
		Repositories:        repositoryFile(t, pairs...),
		PlainHTTPRegistries: []string{r.Home, r.Elsewhere},
	})
}

// session is a client of a server over b.
func session(t testing.TB, b *Backend, access mcpkit.Access, decide mcptest.Decide) *mcptest.Session {
	t.Helper()
	ts := toolset(b)
	return mcptest.Connect(t, ts, mcpkit.Options{Name: "helm-mcp", Access: access}, decide)
}

// registryURL is r's registry as a repositories file names it.
func registryURL(r *charts.Repository, v charts.View) string {
	return strings.TrimSuffix(r.OCI(v, ""), "/")
}

// requests are what reached r.
func requests(t testing.TB, r *charts.Repository) []charts.Request {
	t.Helper()
	all, err := r.Requests()
	require.NoError(t, err)
	return all
}

// requireKept requires that r was asked elsewhere, and that no credential came
// along.
func requireKept(t testing.TB, r *charts.Repository, elsewhere bool) {
	t.Helper()
	asked := false
	for _, q := range requests(t, r) {
		if q.Server == "elsewhere" {
			asked = true
			require.Empty(t, q.Authorization, "%s %s", q.Method, q.Path)
			require.NotContains(t, q.Query, chartPassword)
		}
	}
	require.Equal(t, elsewhere, asked, "whether the other host was asked")
}

// requireKind requires an error of that kind whose text holds parts.
func requireKind(t testing.TB, err error, kind mcpkit.Kind, parts ...string) {
	t.Helper()
	var known *mcpkit.Error
	require.ErrorAs(t, err, &known)
	require.Equal(t, kind, known.Kind, known.Text)
	for _, p := range parts {
		require.Contains(t, known.Text, p)
	}
	require.NotContains(t, known.Text, chartPassword)
}
