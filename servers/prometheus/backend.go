package prometheus

import (
	"cmp"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	openapi "github.com/go-openapi/runtime/client"
	"github.com/go-openapi/strfmt"
	alertmanager "github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/client_golang/api"
	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/config"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// dialTimeout bounds how long an unreachable server can hold up a call.
const dialTimeout = 5 * time.Second

// Config says which Prometheus and which Alertmanager to serve.
type Config struct {
	Prometheus   Endpoint // or anything that speaks its query API, such as Thanos or Mimir
	Alertmanager Endpoint // none if its URL is empty
	UserAgent    string   // what their access logs call us
	Names        Names    // of the tools; ours if empty

	MaxSilence time.Duration // the longest a silence may last; [DefaultMaxSilence] if 0
}

// Endpoint is one server and how to reach it.
type Endpoint struct {
	URL        string // with the path prefix of its API, if it has one
	HTTPConfig string // path of a Prometheus HTTP client configuration file; none if empty
}

// Backend is one Prometheus with its Alertmanager. Its clients are made at
// first use, so that a server without a reachable backend still answers a
// handshake.
type Backend struct {
	cfg          Config
	prometheus   func() (*client, error)
	alertmanager func() (*alertmanager.AlertmanagerAPI, error)
	parser       parser.Parser
	now          func() time.Time
}

// client is the way to Prometheus: typed, and raw for what the typed API lacks.
type client struct {
	promv1.API
	raw api.Client
}

// New returns the backend cfg names. It does not connect: what is wrong with
// the configuration is said by the first call that needs it.
func New(cfg Config) *Backend {
	b := &Backend{cfg: cfg, parser: newParser(), now: time.Now}
	b.prometheus = sync.OnceValues(b.connect)
	b.alertmanager = sync.OnceValues(b.connectAlertmanager)
	return b
}

func (b *Backend) connect() (*client, error) {
	e := b.cfg.Prometheus
	if e.URL == "" {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "no Prometheus is configured; start the server with --prometheus-url")
	}
	transport, _, err := b.reach(e, "prometheus")
	if err != nil {
		return nil, err
	}
	raw, err := api.NewClient(api.Config{Address: e.URL, RoundTripper: bounded{transport}})
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "--prometheus-url is not a URL: %w", err)
	}
	return &client{promv1.NewAPI(raw), raw}, nil
}

func (b *Backend) connectAlertmanager() (*alertmanager.AlertmanagerAPI, error) {
	e := b.cfg.Alertmanager
	if e.URL == "" {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "no Alertmanager is configured; start the server with --alertmanager-url")
	}
	transport, at, err := b.reach(e, "alertmanager")
	if err != nil {
		return nil, err
	}
	path := strings.TrimSuffix(at.Path, "/") + alertmanager.DefaultBasePath
	rt := openapi.New(at.Host, path, []string{cmp.Or(at.Scheme, "http")})
	rt.Transport = bounded{transport}
	if password, ok := at.User.Password(); ok {
		rt.DefaultAuthentication = openapi.BasicAuth(at.User.Username(), password)
	}
	return alertmanager.New(rt, strfmt.Default), nil
}

// reach returns the transport to an endpoint, with the credentials of its
// configuration file, which are read again when they change.
func (b *Backend) reach(e Endpoint, name string) (http.RoundTripper, *url.URL, error) {
	at, err := url.Parse(e.URL)
	if err != nil || at.Host == "" {
		return nil, nil, mcpkit.Errorf(mcpkit.Unavailable, "--%s-url is not a URL such as http://%s.monitoring:9090", name, name)
	}
	cfg := &config.HTTPClientConfig{FollowRedirects: true, EnableHTTP2: true}
	if e.HTTPConfig != "" {
		if cfg, _, err = config.LoadHTTPConfigFile(e.HTTPConfig); err != nil {
			return nil, nil, mcpkit.Errorf(mcpkit.Unavailable, "--%s-http-config does not work: %w", name, err)
		}
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	transport, err := config.NewRoundTripperFromConfig(*cfg, name, config.WithDialContextFunc(dialer.DialContext))
	if err != nil {
		return nil, nil, mcpkit.Errorf(mcpkit.Unavailable, "--%s-http-config does not work: %w", name, err)
	}
	return mcpkit.NameCaller(transport, b.cfg.UserAgent), at, nil
}
