package kubernetes

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// endless yields n lines of a log without holding them.
type endless struct {
	line []byte
	left int
	rest []byte
	peak uint64
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.left--; e.left < 0 {
			return 0, io.EOF
		}
		if e.left%50_000 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			e.peak = max(e.peak, m.HeapAlloc)
		}
		e.rest = e.line
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

func TestLogTailIsFlat(t *testing.T) {
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	lines := &endless{line: []byte("2026-01-02T03:04:05.000000006Z request served " + strings.Repeat("x", 153) + "\n"), left: 1_000_000}
	tail := newLogTail(1000)
	require.NoError(t, tail.readFrom(t.Context(), lines, nil))
	require.EqualValues(t, 1_000_000, tail.searched)
	require.Equal(t, 1_000_000, tail.runs[0].count)
	require.Less(t, lines.peak, before.HeapAlloc+32<<20)
}

func TestLogTailKeepsItsBounds(t *testing.T) {
	var b bytes.Buffer
	for i := range 5000 {
		fmt.Fprintf(&b, "2026-01-02T03:04:05Z %c%c %s\n", 'a'+i%26, 'a'+i%25, strings.Repeat("y", 500))
	}
	tail := newLogTail(1000)
	require.NoError(t, tail.readFrom(t.Context(), &b, nil))
	require.LessOrEqual(t, tail.held, logTailBytes)
	require.True(t, tail.lost)
	require.Less(t, len(tail.runs), 200)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, newLogTail(1).readFrom(ctx, strings.NewReader("x\ny\n"), nil), context.Canceled)
}

func TestFoldingKeepsNews(t *testing.T) {
	for _, c := range []struct {
		a, b        string
		same, equal bool
	}{
		{"GET / 200", "GET / 500", false, false},
		{"exit code 1", "exit code 137", false, false},
		{"attempt 3", "attempt 4", true, false},
		{"attempt 4", "attempt 3", false, false},
		{"took 1.5ms", "took 2s", true, false},
		{"2026-01-02T03:04:05Z hi", "2026-01-02T03:04:06.789Z hi", true, true},
		{"I0102 03:04:05.123456 1 main.go:12] hi", "I0102 03:04:06.123456 1 main.go:12] hi", true, true},
		{"trace 5f2b7c1d90ab", "trace 0f2b7c1d90ab", true, false},
		{"request 0d9f41c2-5a6b-4c3d-8e9f-001122334455", "request 1d9f41c2-5a6b-4c3d-8e9f-001122334455", true, false},
		{"port 8080", "port 9090", false, false},
		{"seq 123456", "seq 123999", true, false},
		{"up", "down", false, false},
		{"v1.2 up", "v1.3 up", false, false},
	} {
		same, equal := foldable(c.a).like(foldable(c.b))
		require.Equal(t, c.same, same, "%s / %s", c.a, c.b)
		require.Equal(t, c.equal, equal, "%s / %s", c.a, c.b)
	}
}

func FuzzParseGrep(f *testing.F) {
	for _, s := range []string{"", "a", "(", "(?i)error|warn", `\d{1001}`, "a{2}{3}", "\xff"} {
		f.Add(s, "some line")
	}
	f.Fuzz(func(t *testing.T, pattern, line string) {
		re, err := parseGrep(pattern)
		if err != nil {
			require.ErrorAs(t, err, new(*mcpkit.Error))
			return
		}
		at, ok := match(re, line)
		require.True(t, !ok || at <= len(line))
	})
}

func FuzzReadLog(f *testing.F) {
	f.Add([]byte("2026-01-02T03:04:05Z one\n2026-01-02T03:04:06Z one\n\x1b[31mred\x1b[0m\r\n\x00\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		tail := newLogTail(10)
		require.NoError(t, tail.readFrom(t.Context(), bytes.NewReader(raw), nil))
		require.LessOrEqual(t, len(tail.runs), 10)
		total := 0
		for _, run := range tail.runs {
			total += run.count
			require.LessOrEqual(t, len(run.first.text), logLineShown+64)
		}
		require.True(t, tail.lost || int64(total) == tail.searched)
	})
}

func FuzzPodRef(f *testing.F) {
	for _, s := range []string{"web-0", "deployment/web", "/", "a/b/c", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ref := podRef(s, "ns")
		require.Equal(t, s, strings.TrimPrefix(ref.ResourceType+"/"+ref.ResourceName, map[bool]string{true: "", false: "pods/"}[strings.Contains(s, "/")]))
	})
}

// A window into a long line must not show a secret without the key before it,
// and a pattern must not find out what a secret is.
func TestGrepSeesNoSecret(t *testing.T) {
	t.Parallel()
	line := strings.Repeat("x ", 500) + "password=hunter22 " + strings.Repeat("y", 250) + " needle\n"
	for pattern, shown := range map[string]int{"needle": 1, "password=h": 0, "needle$": 1} {
		tail := &logTail{most: 10}
		require.NoError(t, tail.readFrom(t.Context(), strings.NewReader("2026-01-02T15:04:05Z "+line), regexp.MustCompile(pattern)))
		require.Len(t, tail.runs, shown, pattern)
		for _, run := range tail.runs {
			require.NotContains(t, run.first.text, "hunter22")
		}
	}
}
