package prometheus

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"github.com/toolcrib/toolcrib/testbed/monitoring"
)

var started *monitoring.Stack

// stack is the Prometheus and Alertmanager all tests share, with a past,
// started by the first test that asks for it. Without it no test has anything
// to say, so its failure ends the run in one line.
var stack = sync.OnceValue(func() *monitoring.Stack {
	s, err := monitoring.Start(context.Background(), monitoring.Options{History: true, Progress: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, "no test monitoring:", err)
		os.Exit(1)
	}
	started = s
	return s
})

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		if err := started.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the test monitoring:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}
