package kubernetes

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// configMaps makes n ConfigMaps, named in order, each with these data.
func configMaps(t testing.TB, ns string, n int, data func(i int) map[string]string) {
	t.Helper()
	api := testClients(t).typed.CoreV1().ConfigMaps(ns)
	var wg sync.WaitGroup
	errs := make(chan error, n)
	work := make(chan int)
	for range 16 {
		wg.Go(func() {
			for i := range work {
				_, err := api.Create(t.Context(), &corev1.ConfigMap{
					ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("cm-%05d", i)}, Data: data(i),
				}, metav1.CreateOptions{})
				errs <- err
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	wg.Wait()
	close(errs)
	for err := range errs {
		require.NoError(t, err)
	}
}

// Cut by the budget in the middle of the first page, a list goes on with the
// very next object although others have come and gone meanwhile.
func TestGetResourcesContinuesAfterTheBudgetCut(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	const n = 230
	configMaps(t, ns, n, func(i int) map[string]string {
		return map[string]string{"x": strings.Repeat(fmt.Sprintf("%04d ", i), 60)}
	})
	args := map[string]any{"resource_type": "cm", "namespace": ns, "fields": []string{".data.x"}, "label_selector": "!absent", "limit": 150}
	out := list(t, s, args)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "of 150 rows shown")
	require.Less(t, len(out.Rows), 100)
	api := testClients(t).typed.CoreV1().ConfigMaps(ns)
	_, err := api.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "a-newcomer"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, api.Delete(t.Context(), "cm-00000", metav1.DeleteOptions{}))

	var names []string
	for rounds := 0; ; rounds++ {
		require.Less(t, rounds, 20)
		for _, row := range out.Rows {
			require.Len(t, row, 4, "a row is cut whole")
		}
		names = append(names, firstCells(out)...)
		if out.Continue == "" {
			break
		}
		args["continue"] = out.Continue
		out = list(t, s, args)
	}
	require.False(t, out.Truncated)
	var want []string
	for i := range n {
		want = append(want, fmt.Sprintf("cm-%05d", i))
	}
	require.Equal(t, append(want, "kube-root-ca.crt"), names)
}

func TestGetResourcesLeavesVastValuesOut(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	configMaps(t, ns, 2, func(int) map[string]string { return map[string]string{"x": strings.Repeat("x ", 200_000)} })
	out := list(t, s, map[string]any{"resource_type": "cm", "namespace": ns, "output": "names", "fields": []string{".data.x"}})
	require.Equal(t, []string{"cm-00000", "(more than 8 KiB; k8s_get_resource_yaml with fields shows it)"}, out.Rows[0])
}

// What is held of a collection does not grow with it.
func TestGetResourcesHoldsOnePageOfManyObjects(t *testing.T) {
	s, ns := reading(t), namespace(t)
	const n, bytes = 600, 32 << 10
	load := strings.Repeat("toolcrib ", bytes/9)
	configMaps(t, ns, n, func(i int) map[string]string { return map[string]string{"load": load, "n": fmt.Sprint(i)} })
	for _, args := range []map[string]any{
		{"count_by": ".data.n", "limit": 1},
		{"sort_by": "-.data.n", "limit": 1},
	} {
		args["resource_type"], args["namespace"] = "cm", ns
		var out GetResourcesOut
		peak := peakHeap(t, func() { out = list(t, s, args) })
		require.EqualValues(t, n+1, out.Total)
		require.Less(t, peak, uint64(n*bytes), "bytes of heap beyond what there was, for %v", args)
	}
	var names []string
	args := map[string]any{"resource_type": "cm", "namespace": ns, "limit": 250}
	for {
		out := list(t, s, args)
		require.Equal(t, len(names) == 0, out.Total != 0)
		names = append(names, firstCells(out)...)
		if args["continue"] = out.Continue; out.Continue == "" {
			break
		}
	}
	require.Len(t, names, n+1)
	require.Equal(t, "cm-00599", names[n-1])
}

// peakHeap is how much the heap grew at most while do ran.
func peakHeap(t testing.TB, do func()) uint64 {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(20)) // what is held counts, not what waits to be collected
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before, peak := m.HeapAlloc, uint64(0)
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			<-tick.C
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			peak = max(peak, m.HeapAlloc)
		}
	}()
	do()
	stop()
	<-done
	t.Logf("heap grew from %d by at most %d KiB", before>>10, (max(peak, before)-before)>>10)
	return max(peak, before) - before
}
