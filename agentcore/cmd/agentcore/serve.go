package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"github.com/toolcrib/toolcrib/agentcore/a2a"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/live"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// serving is an agent as a server.
type serving struct {
	process
	source
	mounts         string
	revision       string
	listen         string
	metrics        string
	runs           string
	replica        string
	most           int
	auth           string
	insecureNoAuth bool
	audience       string
	kubeconfig     string
	url            string
	hosts          []string
	origins        []string
	shutdown       time.Duration
	logLevel       string
	logFormat      string

	log *slog.Logger
}

// patience is how long runs wait for tool servers that offer nothing, from the
// start on: what an agent is granted is often made together with it.
const patience = 15 * time.Second

// inCluster is the value of --runs that keeps them as AgentRuns.
const inCluster = "cluster"

func serveCommand(p process) *cobra.Command {
	s := serving{process: p}
	cmd := &cobra.Command{
		Use:   "serve -f DIRECTORY --agent NAMESPACE/NAME",
		Short: "Serve an agent: over A2A, and by AgentRuns in a cluster",
		Long: `Serves the agent over A2A (JSON-RPC at /, the card at /.well-known/agent-card.json)
and works on its runs: AgentRuns of its namespace, or files of a directory. Told
to end, it hands its runs over.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return s.serve(cmd.Context()) },
	}
	f := cmd.Flags()
	s.source.add(f)
	f.StringVar(&s.mounts, "mounts", "", "`directory` with secrets/SECRET/KEY and tokens/NAMESPACE.NAME/token; Secrets come from the YAML or the environment if absent")
	f.StringVar(&s.revision, "revision", "", "`name` of the configuration; computed from the files if absent")
	f.StringVar(&s.listen, "listen", "127.0.0.1:8080", "serve A2A, /healthz and /readyz on this `host:port`")
	f.StringVar(&s.metrics, "metrics", "", "serve Prometheus metrics on this `host:port`; a free loopback port if absent")
	f.StringVar(&s.runs, "runs", inCluster, "where runs are kept: `cluster`, as AgentRuns of the agent's namespace, or a directory")
	f.StringVar(&s.replica, "replica", "", "`name` of this one among the agent's replicas, by which it takes up its runs after a restart; the host's, which is the pod's, if absent")
	f.IntVar(&s.most, "max-runs", runs.DefaultMost, "`runs` to work on at once, but for those that wait for a person")
	f.StringVar(&s.auth, "auth", authKubernetes, "how callers are authenticated: `kubernetes`, by TokenReview, and let in by verb ask on agents.kagent.dev; or none, which is for loopback addresses")
	f.BoolVar(&s.insecureNoAuth, "insecure-no-auth", false, "allow --auth=none on any address: everyone who can reach it can ask the agent")
	f.StringVar(&s.audience, "audience", "", "`audience` that tokens must be issued for; NAME.NAMESPACE.svc of the agent if absent")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster; KUBECONFIG, or the cluster that this runs in, if absent")
	f.StringVar(&s.url, "url", "", "`URL` by which the agent's card says that it is reached; the one that the card was asked by if absent")
	f.StringSliceVar(&s.hosts, "allowed-hosts", nil, "`names` clients may reach the agent under besides loopback ones and its Service's; * for any")
	f.StringSliceVar(&s.origins, "allowed-origins", nil, "`origins` of web pages that may ask, such as https://inspector.example.com")
	f.DurationVar(&s.shutdown, "shutdown-timeout", 30*time.Second, "how long handing runs over may take once the server is told to end")
	f.StringVar(&s.logLevel, "log-level", "info", "debug, `info`, warn or error")
	f.StringVar(&s.logFormat, "log-format", "text", "`text` or json, on standard error")
	return cmd
}

// How callers are authenticated.
const (
	authKubernetes = "kubernetes"
	authNone       = "none"
)

func (s *serving) serve(ctx context.Context) error {
	if err := s.check(); err != nil {
		return err
	}
	d, err := s.load()
	if err != nil {
		return err
	}
	agent, err := s.resolve(d, s.sources())
	if err != nil {
		return err
	}
	if s.revision != "" {
		agent.Revision = s.revision
	}
	for _, line := range agent.Unserved {
		s.log.Warn(line)
	}
	keeper, err := s.locks(agent)
	if err != nil {
		return err
	}
	store, gate, err := s.store(agent, keeper)
	if err != nil {
		return usage(err)
	}
	tracer, stopTracer, err := mcpkit.Tracer("agentcore", mcpkit.BuildVersion(), s.getenv)
	if err != nil {
		return usage(err)
	}
	defer func() {
		if err := stopTracer(); err != nil {
			s.log.Warn("some spans were not sent", "error", err)
		}
	}()
	opened, err := live.Open(d, agent, live.Options{
		Version: mcpkit.BuildVersion(), Sources: s.sources(), Gate: gate, Tracer: tracer, Logger: s.log, Patience: patience,
		Retrying: func(why error, wait time.Duration) {
			s.log.Warn("the model is asked again", "wait", wait, "error", why)
		},
	})
	if err != nil {
		return usage(err)
	}
	defer opened.Close()
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	worker := &runs.Worker{Store: store, Runner: opened.Runner, Most: s.most, Metrics: runs.NewMetrics(registry), Log: s.log}
	face, err := s.face(agent, store, worker, keeper)
	if err != nil {
		return usage(err)
	}
	s.log.Info("serving", "agent", agent.Namespace+"/"+agent.Name, "revision", agent.Revision, "version", mcpkit.BuildVersion(), "runs", s.runs, "auth", s.auth)
	return s.until(ctx, worker, face, registry)
}

// face is how programs ask the agent.
func (s *serving) face(a declared.Agent, store runs.Store, w *runs.Worker, keeper mcpkit.Locks) (http.Handler, error) {
	options := a2a.Options{
		Agent: a, Store: store, Worker: w, URL: s.url, Logger: s.log,
		HTTP: mcpkit.HTTPOptions{AllowedHosts: append(serviceNames(a), s.hosts...), AllowedOrigins: s.origins},
	}
	if s.auth == authKubernetes {
		options.Authenticator, options.Authorizer = keeper, keeper
	}
	return a2a.Handler(options)
}

func (s *serving) sources() declared.Sources {
	if s.mounts != "" {
		return declared.Sources{Mounts: s.mounts}
	}
	return declared.Sources{Environment: s.getenv}
}

// check refuses flags that cannot work, and what is unsafe without being asked
// for in full.
func (s *serving) check() error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel)); err != nil {
		return usagef("--log-level=%s is not known; write debug, info, warn or error", s.logLevel)
	}
	options := &slog.HandlerOptions{Level: level}
	switch s.logFormat {
	case "text":
		s.log = slog.New(slog.NewTextHandler(s.errs, options))
	case "json":
		s.log = slog.New(slog.NewJSONHandler(s.errs, options))
	default:
		return usagef("--log-format=%s is not known; write text or json", s.logFormat)
	}
	host, _, err := net.SplitHostPort(s.listen)
	ip := net.ParseIP(host)
	loopback := host == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case err != nil:
		return usagef("--listen=%s is no host:port, such as 127.0.0.1:8080", s.listen)
	case s.auth != authKubernetes && s.auth != authNone:
		return usagef("--auth=%s is not known; write kubernetes or none", s.auth)
	case s.auth == authNone && !loopback && !s.insecureNoAuth:
		return usagef("--auth=none on %s would let everyone in who can reach it; listen on 127.0.0.1, write --auth=kubernetes, or --insecure-no-auth if that is what you want", s.listen)
	case s.most < 1:
		return usagef("--max-runs=%d: give at least 1", s.most)
	case s.runs == "":
		return usagef("--runs is empty; write cluster, or a directory")
	}
	return nil
}

// serviceNames are those of the agent's Service.
func serviceNames(a declared.Agent) []string {
	name := a.Name + "." + a.Namespace
	return []string{a.Name, name, name + ".svc", name + ".svc.cluster.local"}
}

// locks are the cluster's say on callers and approvals, nil if neither is asked
// for.
func (s *serving) locks(a declared.Agent) (mcpkit.Locks, error) {
	if s.auth == authNone && s.runs != inCluster {
		return nil, nil
	}
	if s.audience == "" {
		s.audience = a.Name + "." + a.Namespace + ".svc"
	}
	found, err := locks.Open(mcpkit.LocksConfig{Kubeconfig: s.kubeconfig, Namespace: a.Namespace, Audience: s.audience, UserAgent: userAgent(), Logger: s.log})
	if err != nil {
		return nil, usagef("--auth=%s --runs=%s: %w", s.auth, s.runs, err)
	}
	return found, nil
}

func userAgent() string { return "agentcore/" + mcpkit.BuildVersion() }

// store is where runs are kept, and who asks people about them.
func (s *serving) store(a declared.Agent, keeper mcpkit.Locks) (runs.Store, run.Gate, error) {
	if s.runs != inCluster {
		d, err := runs.OpenDirectory(a, s.runs)
		return d, nil, err
	}
	c, err := runs.OpenCluster(a, s.kubeconfig, userAgent(), s.replica)
	if err != nil {
		return nil, nil, fmt.Errorf("--runs=cluster: %w", err)
	}
	return c, &gate{cluster: c, Cluster: run.Cluster{Approvals: keeper, Namespace: a.Namespace, Agent: a.Name}}, nil
}
