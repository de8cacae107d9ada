package monitoring

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/internal/claim"
	"github.com/toolcrib/toolcrib/testbed/internal/pki"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

// settings are where the programs listen, and what else goes into
// Prometheus's configuration.
type settings struct {
	PrometheusAddress, AlertmanagerAddress, NodeAddress, ExporterAddress, controlAddress string

	APIServer      string // host and port; empty if there is none
	Protected      bool
	User, Password string
}

func (s *Stack) start(ctx context.Context, o Options, programs build.Programs) error {
	if err := s.makeDir(); err != nil {
		return err
	}
	set, err := s.prepare(o)
	if err != nil {
		return err
	}
	s.procs = &proc.Group{Logs: s.path("log"), Env: []string{"TMPDIR=" + s.Dir}}
	epoch := fmt.Sprint(s.Epoch.Unix())
	exporter, err := s.procs.Start("exporter", programs["exporter"], "--metrics", set.ExporterAddress, "--control", set.controlAddress, "--epoch", epoch)
	if err != nil {
		return err
	}
	node, err := s.startNodeExporter(programs, set)
	if err != nil {
		return err
	}
	alertmanager, err := s.startAlertmanager(programs, set)
	if err != nil {
		return err
	}
	if o.History {
		if err := s.seed(ctx, programs, epoch); err != nil {
			return err
		}
	}
	prometheus, err := s.startPrometheus(programs, set, o)
	if err != nil {
		return err
	}
	return s.wait(ctx, exporter, node, alertmanager, prometheus)
}

const dirPattern = "tcm-*"

// makeDir makes the folder and removes those of stacks that were killed.
func (s *Stack) makeDir() (err error) {
	s.Dir, s.lock, err = claim.MakeDir(dirPattern)
	return err
}

// prepare chooses ports and writes all configuration.
func (s *Stack) prepare(o Options) (set settings, err error) {
	ports, err := proc.FreePorts(5)
	if err != nil {
		return set, err
	}
	for i, to := range []*string{&set.PrometheusAddress, &set.AlertmanagerAddress, &set.NodeAddress, &set.ExporterAddress, &set.controlAddress} {
		*to = fmt.Sprintf("127.0.0.1:%d", ports[i])
	}
	for _, dir := range []string{"log", "rules", "web", "kube"} {
		if err := os.Mkdir(s.path(dir), 0o755); err != nil {
			return set, err
		}
	}
	scheme := "http://"
	if set.Protected = o.Protected; o.Protected {
		scheme = "https://"
		if err := s.protect(); err != nil {
			return set, err
		}
		set.User, set.Password = s.User, s.Password
	} else if err := os.WriteFile(s.path("web", "web.yml"), nil, 0o644); err != nil {
		return set, err
	}
	s.Prometheus, s.Alertmanager, s.Control = scheme+set.PrometheusAddress, scheme+set.AlertmanagerAddress, "http://"+set.controlAddress
	if o.Kubeconfig != "" {
		if set.APIServer, err = s.borrow(o.Kubeconfig); err != nil {
			return set, err
		}
	}
	return set, s.configure(set, o)
}

// seed writes the past, which takes half a second.
func (s *Stack) seed(ctx context.Context, programs build.Programs, epoch string) error {
	seed, err := s.procs.Start("seed", programs["seed"], "--data", s.path("data"), "--epoch", epoch)
	if err != nil {
		return err
	}
	select {
	case <-seed.Exited():
	case <-ctx.Done():
		return fmt.Errorf("wait for seed: %w", context.Cause(ctx))
	}
	blocks, err := filepath.Glob(s.path("data", "*", "meta.json"))
	if err == nil && len(blocks) == 0 {
		return seed.Err()
	}
	return err
}

func (s *Stack) startNodeExporter(programs build.Programs, set settings) (*proc.Process, error) {
	return s.procs.Start("node_exporter", programs["node_exporter"], "--web.listen-address", set.NodeAddress, "--collector.disable-defaults",
		"--collector.cpu", "--collector.filesystem", "--collector.loadavg", "--collector.meminfo", "--collector.netdev", "--collector.uname", "--collector.vmstat")
}

func (s *Stack) startAlertmanager(programs build.Programs, set settings) (*proc.Process, error) {
	return s.procs.Start("alertmanager", programs["alertmanager"], "--web.listen-address", set.AlertmanagerAddress,
		"--cluster.listen-address=", "--config.file", s.path(alertmanagerFile), "--storage.path", s.path("alertmanager"), "--web.config.file", s.path("web", "web.yml"))
}

func (s *Stack) startPrometheus(programs build.Programs, set settings, o Options) (*proc.Process, error) {
	args := []string{
		"--web.listen-address", set.PrometheusAddress, "--config.file", s.path("prometheus.yml"), "--storage.tsdb.path", s.path("data"),
		"--web.config.file", s.path("web", "web.yml"), "--web.enable-remote-write-receiver",
		"--enable-feature=exemplar-storage", "--rules.alert.resend-delay=5s",
		"--scrape.discovery-reload-interval=100ms", // else the first scrape takes five seconds more
	}
	if !slices.Contains(o.PrometheusArgs, "--no-web.enable-lifecycle") { // a flag may be given once
		args = append(args, "--web.enable-lifecycle")
	}
	return s.procs.Start("prometheus", programs["prometheus"], append(args, o.PrometheusArgs...)...)
}

// wait returns when all is ready to be asked.
func (s *Stack) wait(ctx context.Context, all ...*proc.Process) error {
	const interval = 50 * time.Millisecond
	for what, url := range map[string]string{"the exporter": s.Control + "/notifications", "Alertmanager": s.Alertmanager + "/-/ready", "Prometheus": s.Prometheus + "/-/ready"} {
		answers := func(ctx context.Context) (bool, error) {
			err := s.Get(ctx, url, nil)
			return err == nil, err
		}
		if err := proc.Until(ctx, what, interval, answers, all...); err != nil {
			return err
		}
	}
	if err := proc.Until(ctx, "the first scrapes", interval, s.scraped, all...); err != nil {
		return err
	}
	scraped := time.Now()
	evaluated := func(ctx context.Context) (bool, error) { return s.evaluated(ctx, scraped) }
	return proc.Until(ctx, "the rules", interval, evaluated, all...)
}

// scraped reports whether what each target says can be asked for, but for the one
// that is broken, and whether Alertmanager is known.
func (s *Stack) scraped(ctx context.Context) (bool, error) {
	var up struct {
		Data struct {
			Result []struct {
				Metric struct{ Job string }
				Value  [2]any
			}
		}
	}
	if err := s.Get(ctx, s.Prometheus+"/api/v1/query?query=up", &up); err != nil {
		return false, err
	}
	for _, t := range up.Data.Result {
		if t.Value[1] != "1" && t.Metric.Job != "broken" {
			return false, fmt.Errorf("%s cannot be scraped", t.Metric.Job)
		}
	}
	if n := len(up.Data.Result); n != s.jobs {
		return false, fmt.Errorf("%d of %d targets have been scraped", n, s.jobs)
	}
	var known struct {
		Data struct{ ActiveAlertmanagers []struct{ URL string } }
	}
	err := s.Get(ctx, s.Prometheus+"/api/v1/alertmanagers", &known)
	return len(known.Data.ActiveAlertmanagers) > 0, err
}

// evaluated reports whether each of the default rules has been since.
func (s *Stack) evaluated(ctx context.Context, since time.Time) (bool, error) {
	var rules struct {
		Data struct {
			Groups []struct {
				Name, File     string
				LastEvaluation time.Time
			}
		}
	}
	if err := s.Get(ctx, s.Prometheus+"/api/v1/rules", &rules); err != nil {
		return false, err
	}
	for _, g := range rules.Data.Groups {
		if filepath.Base(g.File) == defaultRulesFile && g.LastEvaluation.Before(since) {
			return false, fmt.Errorf("group %s has not been evaluated", g.Name)
		}
	}
	return len(rules.Data.Groups) > 0, nil
}

func (s *Stack) path(elements ...string) string {
	return filepath.Join(append([]string{s.Dir}, elements...)...)
}

// borrow writes down what the kubeconfig's user shows the API server.
func (s *Stack) borrow(kubeconfig string) (address string, err error) {
	server, ca, pair, err := pki.ReadKubeconfig(kubeconfig)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(server)
	if err != nil {
		return "", fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	if err := os.WriteFile(s.path("kube", "ca.crt"), ca, 0o644); err != nil {
		return "", err
	}
	return u.Host, pair.WriteTo(s.path("kube"), "user")
}
