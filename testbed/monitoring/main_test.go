package monitoring

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// stack is what most tests share. It has a past.
var stack *Stack

// holdVariable makes this binary a process that holds a stack and can be
// killed.
const holdVariable = "MONITORING_HOLD"

func TestMain(m *testing.M) {
	if os.Getenv(holdVariable) != "" {
		os.Exit(hold())
	}
	var err error
	if stack, err = Start(context.Background(), Options{History: true, Progress: os.Stderr}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := stack.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func hold() int {
	s, err := Start(context.Background(), Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	if err := json.NewEncoder(os.Stdout).Encode(s); err != nil {
		return 1
	}
	select {}
}

// sample is one series of an instant query's answer.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

func (s sample) number(t *testing.T) float64 {
	t.Helper()
	f, err := strconv.ParseFloat(s.Value[1].(string), 64)
	require.NoError(t, err)
	return f
}

// query evaluates at a time; the zero time is now.
func query(t *testing.T, s *Stack, expr string, at time.Time) []sample {
	t.Helper()
	v := url.Values{"query": {expr}}
	if !at.IsZero() {
		v.Set("time", fmt.Sprint(at.Unix()))
	}
	var answer struct{ Data struct{ Result []sample } }
	require.NoError(t, s.Get(t.Context(), s.Prometheus+"/api/v1/query?"+v.Encode(), &answer))
	return answer.Data.Result
}

// number is the value of a query that has one.
func number(t *testing.T, expr string, at time.Time) float64 {
	t.Helper()
	got := query(t, stack, expr, at)
	require.Len(t, got, 1, expr)
	return got[0].number(t)
}

// becomes waits for a query's one value.
func becomes(t *testing.T, expr string, want, delta float64) {
	t.Helper()
	within(t, func() string {
		got := query(t, stack, expr, time.Time{})
		if len(got) == 1 && math.Abs(got[0].number(t)-want) <= delta {
			return ""
		}
		return fmt.Sprintf("%s is %v, not %v", expr, got, want)
	})
}

// within polls until check reports no more to wait for; the limit is for a
// busy machine.
func within(t *testing.T, check func() (missing string)) {
	t.Helper()
	deadline := time.After(5 * time.Minute)
	for {
		missing := check()
		if missing == "" {
			return
		}
		select {
		case <-deadline:
			require.FailNow(t, "waited in vain", missing)
		case <-time.After(100 * time.Millisecond):
		}
	}
}
