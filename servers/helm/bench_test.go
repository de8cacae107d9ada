package helm

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// aged is a namespace with releases of a usual size, each with a history.
func aged(t testing.TB, releases, revisions, bytesEach int) string {
	t.Helper()
	ns := namespace(t)
	random := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, bytesEach)
	for i := range noise {
		noise[i] = byte('a' + random.IntN(26))
	}
	at := time.Now().Add(-24 * time.Hour)
	for i := range releases {
		for v := 1; v <= revisions; v++ {
			status := map[bool]string{true: "deployed", false: "superseded"}[v == revisions]
			info := map[string]any{"status": status, "first_deployed": at, "last_deployed": at, "deleted": "", "description": "Upgrade complete"}
			chart := map[string]any{"metadata": map[string]any{"name": "web", "version": "1.2.3", "appVersion": "2.5.0", "apiVersion": "v2"}, "files": []any{map[string]any{"name": "noise", "data": noise}}}
			name := fmt.Sprintf("app-%04d", i)
			raw, err := json.Marshal(map[string]any{"name": name, "namespace": ns, "version": v, "info": info, "chart": chart, "manifest": ""})
			require.NoError(t, err)
			plant(t, ns, name, v, status, at, inGzip(t, raw))
		}
	}
	return ns
}

// What helm writes for programs is what models are given of it elsewhere.
func TestAnswersAreShorterThanHelmsOwn(t *testing.T) {
	t.Parallel()
	ns, h, s := aged(t, 20, 10, 100), helm3(t), reading(t)
	h.put(t, ns, "web", "web", "1.1.0")
	for tool, c := range map[string]struct {
		args map[string]any
		line []string
		most float64 // of helm's bytes
	}{
		"helm_list_releases": {map[string]any{"namespace": ns}, []string{"list", "-n", ns, "-o", "json"}, 0.5},
		"helm_get_history":   {map[string]any{"namespace": ns, "name": "app-0001"}, []string{"history", "app-0001", "-n", ns, "-o", "json"}, 0.5},
		"helm_get_status":    {map[string]any{"namespace": ns, "name": "web"}, []string{"status", "web", "-n", ns, "-o", "json"}, 0.5},
		"helm_get_release":   {map[string]any{"namespace": ns, "name": "web"}, []string{"get", "all", "web", "-n", ns}, 0.5},
	} {
		a := s.Call(tool, c.args)
		require.False(t, a.IsError, a.Text)
		theirs := len(h.run(t, c.line...))
		require.LessOrEqual(t, float64(len(a.Text)), c.most*float64(theirs), "%s: %d of %d bytes\n%s", tool, len(a.Text), theirs, a.Text)
		t.Logf("%s: %d of helm's %d bytes", tool, len(a.Text), theirs)
	}
}

// Each answer beside the same one of the helm program; p50 in milliseconds.
func BenchmarkAgainstHelm(b *testing.B) {
	ns, h := aged(b, 20, 10, 10<<10), helm3(b)
	h.put(b, ns, "web", "web", "1.0.0")
	h.put(b, ns, "web", "web", "1.1.0")
	s := reading(b)
	for _, c := range []struct {
		tool string
		args map[string]any
		line []string
	}{
		{"helm_list_releases", map[string]any{"namespace": ns}, []string{"list", "-n", ns, "-o", "json"}},
		{"helm_get_release", map[string]any{"namespace": ns, "name": "web", "what": "all"}, []string{"get", "all", "web", "-n", ns}},
		{"helm_get_history", map[string]any{"namespace": ns, "name": "app-0001"}, []string{"history", "app-0001", "-n", ns, "-o", "json"}},
		{"helm_get_status", map[string]any{"namespace": ns, "name": "web"}, []string{"status", "web", "-n", ns, "--show-resources", "-o", "json"}},
	} {
		b.Run(c.tool, func(b *testing.B) {
			var ours, theirs []time.Duration
			for b.Loop() {
				began := time.Now()
				a := s.Call(c.tool, c.args)
				ours = append(ours, time.Since(began))
				require.False(b, a.IsError, a.Text)
				began = time.Now()
				h.run(b, c.line...)
				theirs = append(theirs, time.Since(began))
			}
			b.ReportMetric(median(ours), "ms")
			b.ReportMetric(median(theirs), "helm-ms")
			b.ReportMetric(median(theirs)/median(ours), "times")
		})
	}
}

func median(all []time.Duration) float64 {
	slices.SortFunc(all, cmp.Compare[time.Duration])
	return float64(all[len(all)/2].Microseconds()) / 1000
}

// A list of many releases takes memory for its page, not for all of them.
func BenchmarkListOfThousands(b *testing.B) {
	ns := aged(b, 300, 10, 20<<10)
	s := session(b, admin(b), mcpkit.AccessRead, nil)
	for b.Loop() {
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		began := time.Now()
		a := s.Call("helm_list_releases", map[string]any{"namespace": ns})
		took := time.Since(began)
		require.Contains(b, a.Text, "300 releases")
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/(1<<20), "MiB-allocated")
		b.ReportMetric(float64(took.Milliseconds()), "ms")
		require.NotContains(b, a.Text, "cannot be read")
	}
}
