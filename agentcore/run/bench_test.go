package run_test

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
)

// BenchmarkTurn is what the loop itself takes for a turn: a request, a call of a
// tool that answers at once with 4 KiB, and its record. Runs are of 20 turns.
func BenchmarkTurn(b *testing.B) {
	answer := strings.Repeat("web-7d4b9c6f5d-x2x9k  0/1  CrashLoopBackOff  12  34m\n", 80)
	for name, open := range map[string]func(path string) (record.Log, error){
		"file":   func(path string) (record.Log, error) { return record.OpenFile(path) },
		"memory": func(string) (record.Log, error) { return memory(), nil },
	} {
		b.Run(name, func(b *testing.B) {
			var tools []toolbox.Tool
			for i := range 30 {
				tools = append(tools, reads(fmt.Sprintf("k8s_get_%d", i)))
			}
			shelf := &shelf{tools: tools, answer: func(context.Context, toolbox.Tool, toolbox.Call) (toolbox.Outcome, error) {
				return toolbox.Outcome{Text: answer}, nil
			}}
			var turns []time.Duration
			last := time.Now()
			m := hear(func(r model.Request) model.Reply {
				turns = append(turns, time.Since(last))
				last = time.Now()
				if len(r.Messages) > 2*20 {
					return says("Done.")
				}
				return says("I look.", calls("", "k8s_get_1", fmt.Sprintf(`{"count":%d}`, len(r.Messages))))
			})
			r := runner(m, shelf)
			r.Agent.Limits = declared.Limits{}
			dir, n := b.TempDir(), 0
			for b.Loop() {
				log, err := open(filepath.Join(dir, fmt.Sprint(n)))
				if err != nil {
					b.Fatal(err)
				}
				n++
				if _, err := r.Run(b.Context(), run.Question{Run: "r", Text: "Why?"}, log, run.Observer{}); err != nil {
					b.Fatal(err)
				}
				if f, ok := log.(*record.File); ok {
					f.Close()
				}
			}
			slices.Sort(turns)
			b.ReportMetric(float64(turns[len(turns)/2].Microseconds()), "µs/turn-p50")
			b.ReportMetric(float64(turns[len(turns)*99/100].Microseconds()), "µs/turn-p99")
		})
	}
}
