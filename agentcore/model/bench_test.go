package model_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	scripted "github.com/toolcrib/toolcrib/testbed/model"
)

// BenchmarkAnswer is what an answer costs that a model gives at once: asking,
// reading it and handing it on, the loopback network and the server included.
func BenchmarkAnswer(b *testing.B) {
	for w := range wires {
		b.Run(w, func(b *testing.B) {
			server, err := scripted.Start(scripted.Options{Instant: []scripted.Answer{{Say: "I look at the log of the pod that you mean, and at its events.", Call: []scripted.Call{{Tool: "k8s_ping", Arguments: map[string]any{"pod": "web"}}}}}})
			require.NoError(b, err)
			defer server.Close()
			m := open(b, wire(b, w, server.URL), model.Options{})
			var took []time.Duration
			for b.Loop() {
				began := time.Now()
				reply, err := m.Generate(b.Context(), ask("?"), nil)
				took = append(took, time.Since(began))
				if err != nil || len(reply.Calls) != 1 {
					b.Fatal(err, reply)
				}
			}
			report(b, took)
		})
	}
}

// BenchmarkFirstWord is how long the first piece of text takes from the server's
// hand to the listener's ear.
func BenchmarkFirstWord(b *testing.B) {
	for w := range wires {
		b.Run(w, func(b *testing.B) {
			scenario, err := scripted.Parse("stamped", []byte("chunk: {stamp: true}\nrules:\n- say: I look at the log of the pod that you mean, and at its events.\n"))
			require.NoError(b, err)
			server, err := scripted.Start(scripted.Options{Scenario: scenario})
			require.NoError(b, err)
			defer server.Close()
			m := open(b, wire(b, w, server.URL), model.Options{})
			var took []time.Duration
			for b.Loop() {
				first := true
				_, err := m.Generate(b.Context(), ask("?"), func(text string) {
					now := time.Now()
					if sent, ok := scripted.Sent(text); ok && first {
						first, took = false, append(took, now.Sub(sent))
					}
				})
				if err != nil || first {
					b.Fatal("nothing was said", err)
				}
			}
			report(b, took)
		})
	}
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-us")
}
