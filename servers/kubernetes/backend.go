package kubernetes

import (
	"crypto/tls"
	"fmt"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/locks/clientgo"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/dynamic"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	metrics "k8s.io/metrics/pkg/client/clientset/versioned"
)

// Config says which cluster to serve, and what may be brought into it.
type Config struct {
	clientgo.Cluster

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
	*clientgo.Connection
	namespace string         // used when a call names none
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
	to, err := b.cfg.Connect()
	if err != nil {
		return nil, err
	}
	return newClients(to)
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

func newClients(to *clientgo.Connection) (c *clients, err error) {
	config, hc := to.Config, to.HTTP
	config.WarningHandlerWithContext = warningHandler{}
	c = &clients{Connection: to, namespace: contextNamespace(to.Kubeconfig)}
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
