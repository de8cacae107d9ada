package kubernetes

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned"
)

// dialTimeout bounds how long an unreachable API server can hold up a call.
const dialTimeout = 5 * time.Second

// Config says which cluster to serve. Given nothing it is the one of
// KUBECONFIG or ~/.kube/config, or the one the process runs in.
type Config struct {
	Kubeconfig string          // path; wins over everything
	Context    string          // of the kubeconfig; its current context if empty
	UserAgent  string          // what the API server's audit log calls us
	Identity   mcpkit.Identity // as whom the cluster is asked; mcpkit.IdentityServer if empty

	// AllowedURLHosts are the hosts, with their port as it stands in the
	// URL, that manifests may be fetched from. Without one
	// k8s_create_resource_from_url does not exist.
	AllowedURLHosts []string
}

// Backend is one cluster. Its clients are made at first use, so that a server
// without a reachable cluster still answers a handshake.
type Backend struct {
	cfg   Config
	open  func() (*clients, error)
	types typeIndexes
	now   func() time.Time

	fetchTLS *tls.Config // for fetching manifests; the system's roots if nil
}

// clients are the ways in, all over one connection pool.
type clients struct {
	config    *rest.Config
	namespace string // used when a call names none
	http      *http.Client
	rest      rest.Interface // any path, for server-side tables
	dynamic   dynamic.Interface
	typed     client.Interface
	discovery discovery.DiscoveryInterfaceWithContext
	metrics   metrics.Interface
	metadata  metadata.Interface // objects without what is in them
}

// New returns the cluster cfg names. It does not connect: what is wrong with
// the configuration is said by the first call that needs it.
func New(cfg Config) *Backend {
	b := &Backend{cfg: cfg, now: time.Now}
	b.open = sync.OnceValues(b.connect)
	return b
}

func (b *Backend) connect() (*clients, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = b.cfg.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: b.cfg.Context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "no cluster is configured: %w; start the server with --kubeconfig, or with KUBECONFIG set", err)
	}
	config.UserAgent = b.cfg.UserAgent
	config.QPS = -1 // the API server's own priority and fairness limits us
	config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	config.WarningHandlerWithContext = warningHandler{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return mcpkit.NameCaller(next, config.UserAgent) })
	if b.cfg.Identity == mcpkit.IdentityCaller {
		if config.Impersonate.UserName != "" {
			return nil, mcpkit.Errorf(mcpkit.Unavailable, "the kubeconfig acts as %s, and --identity=caller as each caller: a person must give this server credentials of its own", config.Impersonate.UserName)
		}
		config.Wrap(locks.ActAsCaller)
	}
	return newClients(config, contextNamespace(loader))
}

// contextNamespace is the namespace of the kubeconfig's context. The namespace
// of the server's own pod says nothing about what a caller means.
func contextNamespace(loader clientcmd.ClientConfig) string {
	raw, err := loader.RawConfig()
	if err != nil || len(raw.Contexts) == 0 {
		return "default"
	}
	ns, _, err := loader.Namespace()
	if err != nil || ns == "" {
		return "default"
	}
	return ns
}

func newClients(config *rest.Config, namespace string) (*clients, error) {
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the cluster's configuration does not work: %w", err)
	}
	c := &clients{config: config, namespace: namespace, http: hc}
	if c.dynamic, err = dynamic.NewForConfigAndClient(config, hc); err != nil {
		return nil, fmt.Errorf("dynamic client: %w", err)
	}
	if c.typed, err = client.NewForConfigAndClient(config, hc); err != nil {
		return nil, fmt.Errorf("typed client: %w", err)
	}
	if c.metrics, err = metrics.NewForConfigAndClient(config, hc); err != nil {
		return nil, fmt.Errorf("metrics client: %w", err)
	}
	if c.metadata, err = metadata.NewForConfigAndClient(config, hc); err != nil {
		return nil, fmt.Errorf("metadata client: %w", err)
	}
	c.rest = c.typed.Discovery().RESTClient()
	c.discovery = discovery.ToDiscoveryInterfaceWithContext(c.typed.Discovery())
	return c, nil
}

// boundConfig is the way to the cluster for a client that takes no context of
// its own, such as kubectl's describers: its requests end with ctx, and go
// through the pool that all others use.
func (c *clients) boundConfig(ctx context.Context) *rest.Config {
	return &rest.Config{
		Host:           c.config.Host,
		APIPath:        c.config.APIPath,
		QPS:            c.config.QPS,
		WarningHandler: c.config.WarningHandler,
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return c.http.Transport.RoundTrip(r.WithContext(ctx))
		}),
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
