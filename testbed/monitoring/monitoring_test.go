package monitoring

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/toolcrib/toolcrib/testbed"
)

func TestTargets(t *testing.T) {
	want := map[string]float64{
		"prometheus prometheus-1": 1, "alertmanager alertmanager-1": 1, "node node-1": 1, "exporter exporter-1": 1,
		"shop shop-1": 1, "sessions sessions-1": 1, "broken broken-1": 0,
	}
	within(t, func() string { // a machine that stands still for a second fails a scrape
		up := map[string]float64{}
		for _, s := range query(t, stack, "up", time.Time{}) {
			up[s.Metric["job"]+" "+s.Metric["instance"]] = s.number(t)
		}
		if maps.Equal(want, up) {
			return ""
		}
		return fmt.Sprintf("up is %v", up)
	})
	var dropped struct {
		Data struct {
			DroppedTargets []struct{ DiscoveredLabels map[string]string }
		}
	}
	require.NoError(t, stack.Get(t.Context(), stack.Prometheus+"/api/v1/targets?state=dropped", &dropped))
	require.Len(t, dropped.Data.DroppedTargets, 1)
	require.Equal(t, "shop-0", dropped.Data.DroppedTargets[0].DiscoveredLabels["instance"])
	var info struct{ Data struct{ Version string } }
	require.NoError(t, stack.Get(t.Context(), stack.Prometheus+"/api/v1/status/buildinfo", &info))
	require.Equal(t, "3.15.0", info.Data.Version)
}

func TestSteadySeries(t *testing.T) {
	for expr, want := range map[string]float64{
		`count(testbed_session_seconds)`:                                    20000,
		`testbed_session_seconds{user="user-00042",shard="shard-02"}`:       42,
		`testbed_build_info{version="1.2.3",commit="abc123"}`:               1,
		`count(testbed_special_value{kind="nan"} != testbed_special_value)`: 1,
		`count(testbed_ticks_total < 60)`:                                   1,
		`testbed_queue_length{queue="mail"}`:                                0,
	} {
		becomes(t, expr, want, 0)
	}
	kinds := map[string]string{}
	for _, s := range query(t, stack, "testbed_special_value", time.Time{}) {
		kinds[s.Metric["kind"]] = s.Value[1].(string)
	}
	require.Equal(t, map[string]string{"nan": "NaN", "positive_infinity": "+Inf", "negative_infinity": "-Inf"}, kinds)
	becomes(t, `rate(testbed_request_duration_seconds_count[5s])`, 10, 3)
	becomes(t, `histogram_quantile(0.9, rate(testbed_request_duration_seconds_bucket[10s]))`, 0.5, 0.1)
	becomes(t, `histogram_count(rate(testbed_response_size_bytes[10s])) / histogram_sum(rate(testbed_response_size_bytes[10s]))`, 10.0/12, 0.001)

	var metadata struct {
		Data map[string][]struct{ Type, Help, Unit string }
	}
	require.NoError(t, stack.Get(t.Context(), stack.Prometheus+"/api/v1/metadata?metric=testbed_response_size_bytes", &metadata))
	require.Equal(t, []struct{ Type, Help, Unit string }{{"histogram", "How large answers were.", "bytes"}}, metadata.Data["testbed_response_size_bytes"])

	traces := map[string]bool{}
	within(t, func() string {
		var exemplars struct {
			Data []struct {
				Exemplars []struct{ Labels map[string]string }
			}
		}
		url := stack.Prometheus + `/api/v1/query_exemplars?query=%7B__name__%3D~"testbed_.*"%7D&start=` + stack.Epoch.UTC().Format(time.RFC3339)
		require.NoError(t, stack.Get(t.Context(), url, &exemplars))
		for _, series := range exemplars.Data {
			for _, e := range series.Exemplars {
				traces[e.Labels["trace_id"]] = true
			}
		}
		if traces["slow-1"] && traces["large-1"] {
			return ""
		}
		return "exemplars"
	})
}

func TestPast(t *testing.T) {
	before := func(d time.Duration) time.Time { return stack.Epoch.Add(-d) }
	const day = 24 * time.Hour
	for _, c := range []struct {
		expr string
		at   time.Time
		want float64
	}{
		{`shop_latency_seconds{route="/pay"}`, before(6*time.Hour + 5*time.Minute), 0.2},
		{`shop_latency_seconds{route="/pay"}`, before(6 * time.Hour), 0.8},
		{`shop_latency_seconds{route="/cart"}`, before(94 * day), 0.1},
		{`shop_requests_total{route="/cart"}`, before(60*day + 5*time.Minute), 10 * (35*day - 5*time.Minute).Seconds()},
		{`shop_requests_total{route="/cart"}`, before(60 * day), 0},
		{`rate(shop_requests_total{route="/search"}[1h])`, before(40 * day), 5},
		{`resets(shop_requests_total{route="/pay"}[95d])`, stack.Epoch, 3},
		{`max_over_time(shop_queue_length[30m])`, before(25 * time.Hour), 0},
		{`shop_queue_length{queue="orders"}`, before(24*time.Hour - 5*time.Minute), 50},
		{`histogram_count(shop_response_seconds)`, before(time.Hour), 47 * 36000},
		{`count(shop_build_info{version="1.5.0"})`, before(6 * time.Hour), 1},
		{`count(count_over_time(testbed_session_seconds[9m]))`, time.Now().Add(-time.Minute), 20000},
	} {
		require.InDelta(t, c.want, number(t, c.expr, c.at), 0.001*c.want, c.expr)
	}
	require.InDelta(t, 0.8, number(t, `shop_latency_seconds{job="shop",instance="shop-1",route="/pay"}`, time.Time{}), 0)
	require.InDelta(t, 5, number(t, `deriv(shop_requests_total{route="/search"}[20m])`, time.Time{}), 0.1) // one series, past and present
}

func TestGauges(t *testing.T) {
	require.NoError(t, stack.Set(t.Context(), "testbed_depth", -1.5, "pool", "a"))
	becomes(t, `testbed_depth{pool="a"}`, -1.5, 0)
	require.NoError(t, stack.Unset(t.Context(), "testbed_depth", "pool", "a"))
	becomes(t, `absent(testbed_depth{pool="a"})`, 1, 0)
	require.ErrorContains(t, stack.Unset(t.Context(), "testbed_depth", "pool", "a"), "no gauge testbed_depth")
	require.ErrorContains(t, stack.Set(t.Context(), "", 1), "not a valid metric name")
}

func TestOwnRules(t *testing.T) {
	rules := "groups: [{name: own, rules: [{record: own:one, expr: vector(41) + 1}]}]"
	require.NoError(t, stack.SetRules(t.Context(), rules))
	becomes(t, "own:one", 42, 0)
	require.ErrorContains(t, stack.SetRules(t.Context(), strings.ReplaceAll(rules, "vector", "vektor")), "unknown function")
	require.NoError(t, stack.SetRules(t.Context(), ""))
}

func TestProtected(t *testing.T) {
	t.Parallel()
	var progress bytes.Buffer
	s, err := Start(t.Context(), Options{Protected: true, Progress: &progress, PrometheusArgs: []string{"--query.lookback-delta=1m"}})
	require.NoError(t, err)
	defer s.Stop()
	require.Contains(t, progress.String(), "monitoring is up")
	within(t, func() string {
		up := query(t, s, `count(up{job=~"prometheus|alertmanager"} == 1)`, time.Time{})
		if len(up) == 1 && up[0].number(t) == 2 {
			return ""
		}
		return fmt.Sprintf("up is %v", up)
	})
	for _, url := range []string{s.Prometheus, s.Alertmanager} {
		_, err := http.Get(url)
		require.ErrorContains(t, err, "certificate signed by unknown authority")
		stranger := &Stack{CAFile: s.CAFile}
		require.ErrorContains(t, stranger.Get(t.Context(), url, nil), "401 Unauthorized")
	}
}

func TestAPIServer(t *testing.T) {
	t.Parallel()
	cluster, err := testbed.Start(t.Context(), testbed.Options{Tier: testbed.ControlPlane})
	require.NoError(t, err)
	defer cluster.Stop()
	s, err := Start(t.Context(), Options{Kubeconfig: cluster.Kubeconfig})
	require.NoError(t, err)
	defer s.Stop()
	within(t, func() string {
		if len(query(t, s, `apiserver_request_total{job="apiserver",instance="apiserver-1"}`, time.Time{})) > 0 {
			return ""
		}
		return "the API server's requests"
	})
}

func TestBadConfigurationIsExplained(t *testing.T) {
	_, err := Start(t.Context(), Options{AlertmanagerConfig: "route: {receiver: none}"})
	require.ErrorContains(t, err, `undefined receiver`)
	_, err = Start(t.Context(), Options{PrometheusArgs: []string{"--no-such-flag"}})
	require.ErrorContains(t, err, "unknown long flag '--no-such-flag'")
}

func TestNothingOutlivesAKilledParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), holdVariable+"=1")
	out, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var s Stack
	require.NoError(t, json.Unmarshal(line, &s), string(line))
	require.NoError(t, s.Set(t.Context(), "testbed_depth", 1)) // decoded, it can still be used
	require.Len(t, running(s.Dir), 2, "Prometheus and Alertmanager have the folder on their command line")

	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	within(t, func() string { return strings.Join(running(s.Dir), "\n") })
	within(t, func() string {
		if s.Set(t.Context(), "testbed_depth", 1) != nil {
			return ""
		}
		return "the exporter still runs"
	})
	next, err := Start(t.Context(), Options{})
	require.NoError(t, err)
	require.NoDirExists(t, s.Dir, "the next start clears it away")
	require.NoError(t, next.Stop())
	require.NoDirExists(t, next.Dir)
}

// running lists processes with the folder on their command line.
func running(dir string) (left []string) {
	processes, _ := filepath.Glob("/proc/[0-9]*/cmdline") // the pattern is well formed
	for _, p := range processes {
		if cmdline, err := os.ReadFile(p); err == nil && bytes.Contains(cmdline, []byte(dir+"/")) {
			left = append(left, string(bytes.ReplaceAll(cmdline, []byte{0}, []byte{' '})))
		}
	}
	return left
}
