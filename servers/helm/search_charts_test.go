package helm

import (
	"context"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

func TestSearchCharts(t *testing.T) {
	t.Parallel()
	_, call := onShelf(t)
	for name, c := range map[string]struct {
		args map[string]any
		want []string
	}{
		"by name":         {map[string]any{"query": "Cache"}, []string{"found: 2 of 10 charts", "shop/cache\t1.3.0+build.5\t7.2.4\tA key-value cache\nshop/umbrella\t"}},
		"by keyword":      {map[string]any{"query": "http"}, []string{"found: 1 of 10 charts", "shop/web\t1.2.0\t3.0.0\t"}},
		"by description":  {map[string]any{"query": "takes its time"}, []string{"shop/slow\t1.1.0"}},
		"everything":      {nil, []string{"found: 10 of 10 charts", "shop/deprecated\t0.9.0\t0.9.0\tAn application nobody looks after any more\tdeprecated", "oci: a registry cannot be searched; ask for oci/CHART"}},
		"prereleases":     {map[string]any{"query": "web", "devel": true}, []string{"shop/web\t1.3.0-rc.1"}},
		"in a range":      {map[string]any{"query": "web", "version": "~1.1"}, []string{"shop/web\t1.1.0\t2.5.0"}},
		"nothing":         {map[string]any{"query": "wbe"}, []string{"found: 0 of 10 charts; the nearest names are web", "(no rows)"}},
		"one repository":  {map[string]any{"repository": "shop", "query": "web"}, []string{"found: 1 of 10 charts"}},
		"versions":        {map[string]any{"query": "shop/cache"}, []string{"found: 2 of 2 versions", "shop/cache\t1.3.0+build.5\t7.2.4\t"}},
		"tags":            {map[string]any{"query": "oci/web", "devel": true}, []string{"chart\tversion\noci/web\t1.3.0-rc.1\noci/web\t1.2.0\noci/web\t1.1.0\noci/web\t1.0.0"}},
		"no such version": {map[string]any{"query": "oci/web", "version": ">9"}, []string{"found: 0 of 4 versions; the newest are 1.3.0-rc.1, 1.2.0"}},
		"truncated":       {map[string]any{"limit": 2}, []string{"truncated: true", "2 of 10 charts shown; search for more of the name"}},
	} {
		text, failed := call("helm_search_charts", c.args)
		require.False(t, failed, name)
		for _, want := range c.want {
			require.Contains(t, text, want, name)
		}
	}
	for name, c := range map[string]struct {
		args map[string]any
		want string
	}{
		"repository": {map[string]any{"repository": "shpo"}, "not_found: no repository \"shpo\" is configured. Did you mean shop?"},
		"chart":      {map[string]any{"query": "shop/wbe"}, "the nearest names are web"},
		"version":    {map[string]any{"version": "latest"}, "invalid: version \"latest\" is neither"},
	} {
		text, failed := call("helm_search_charts", c.args)
		require.True(t, failed, name)
		require.Contains(t, text, c.want)
	}
}

func TestSearchGoesOnWithoutWhoDoesNotAnswer(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, locked())
	b := chartBackend(t, r, "shop", r.URL(charts.Plain)+withUser, "denied", r.URL(charts.Plain), "gone", "http://127.0.0.1:1/x",
		"silent", r.URL(charts.Hanging)+withUser, "half", r.URL(charts.Truncated)+withUser)
	b.cfg.DownloadTimeout = 15 * time.Second // time enough for those who answer, on any machine
	text := session(t, b, mcpkit.AccessRead, nil).Call("helm_search_charts", map[string]any{"query": "web"}).Text
	for _, want := range []string{
		"shop/web\t1.2.0", "- denied: 127.0.0.1", "401 Unauthorized", "A person must set username and password", "- gone: cannot get the index",
		"- silent: silent (http://", "did not send the index in time", "- half: cannot get the index of half",
	} {
		require.Contains(t, text, want)
	}
	require.NotContains(t, text, chartPassword)
}

func TestSearchEndsWithItsCall(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	b := chartBackend(t, r, "silent", r.URL(charts.Hanging))
	b.cfg.DownloadTimeout = time.Hour
	s := session(t, b, mcpkit.AccessRead, nil)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		_, err := s.CallTool(ctx, &mcp.CallToolParams{Name: "helm_search_charts", Arguments: map[string]any{}})
		ended <- err
	}()
	require.Eventually(t, func() bool { return len(requests(t, r)) > 0 }, time.Minute, 10*time.Millisecond)
	cancel()
	require.Error(t, <-ended)
	place := b.indexes.of(mustRepository(t, b, "silent"))
	require.Eventually(t, func() bool { return len(place.turn) == 0 }, time.Minute, 10*time.Millisecond, "the request has ended too")
}

func mustRepository(t testing.TB, b *Backend, name string) *repository {
	t.Helper()
	r, err := b.repository(name)
	require.NoError(t, err)
	return r
}

func TestIndexIsAskedForOnceInAWhile(t *testing.T) {
	t.Parallel()
	r := chartRepository(t, charts.Options{})
	b := chartBackend(t, r, "shop", r.URL(charts.Plain))
	now := time.Now()
	b.now = func() time.Time { return now }
	s := session(t, b, mcpkit.AccessRead, nil)
	search := func() string { return s.Call("helm_search_charts", map[string]any{"query": "web"}).Text }
	for range 3 {
		require.Contains(t, search(), "shop/web\t1.2.0")
	}
	require.Len(t, requests(t, r), 1)
	require.NoError(t, r.Publish(t.Context(), charts.Chart{Name: "web", Version: "2.0.0"}))
	now = now.Add(indexTTL + time.Second)
	require.Contains(t, search(), "shop/web\t2.0.0")
	require.Len(t, requests(t, r), 2)

	require.NoError(t, r.Stop())
	now = now.Add(indexTTL + time.Second)
	text := search()
	require.Contains(t, text, "shop/web\t2.0.0")
	require.Contains(t, text, "shop: answered from its index of ")
}
