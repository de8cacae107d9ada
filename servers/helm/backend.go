package helm

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	client "k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/utils/lru"
)

// Config says which cluster to serve, and which charts may be had.
type Config struct {
	clientgo.Cluster

	Repositories        string        // file of chart repositories in helm's own format; none if empty
	RegistryConfig      string        // file of registries' credentials in docker's format; none if empty
	ChartDir            string        // folder of chart archives; none if empty
	CacheDir            string        // folder of indexes that servers share; in memory alone if empty
	AllowedHosts        []string      // hosts, with their ports, of which helm_repo_add may add repositories
	TokenHosts          []string      // hosts other than a registry's own that may be sent its credentials, for a token
	PlainHTTPRegistries []string      // hosts of registries without TLS
	DownloadTimeout     time.Duration // of one index or chart; DefaultDownloadTimeout if 0
}

// DefaultDownloadTimeout is how long one index or chart may take to arrive.
const DefaultDownloadTimeout = 20 * time.Second

// Backend is one cluster with its releases. Its clients are made at first use,
// so that a server without a reachable cluster still answers a handshake.
type Backend struct {
	cfg  Config
	open func() (*clients, error)
	now  func() time.Time

	indexes   *indexCache
	rendering chan struct{} // one place for each rendering that runs
	large     chan struct{} // one place for a large release that is being read
	validated *lru.Cache    // see validating
}

// clients are the ways in, all over one connection pool.
type clients struct {
	*clientgo.Connection
	typed   client.Interface
	heads   metadata.Interface // objects without what is in them
	objects dynamic.Interface  // objects of any type
	shared  *servedTypes       // that all calls use; nil where each acts as its caller
}

// servedTypes are the types the cluster serves.
type servedTypes struct {
	discovery discovery.CachedDiscoveryInterface
	mapper    meta.ResettableRESTMapper
}

func newTypes(d discovery.DiscoveryInterface) *servedTypes {
	cached := memory.NewMemCacheClient(d)
	return &servedTypes{cached, restmapper.NewDeferredDiscoveryRESTMapper(cached)}
}

// New returns the backend cfg names. It does not connect: what is wrong with
// the configuration is said by the first call that needs it.
func New(cfg Config) *Backend {
	cfg.DownloadTimeout = cmp.Or(cfg.DownloadTimeout, DefaultDownloadTimeout)
	b := &Backend{cfg: cfg, now: time.Now, indexes: newIndexCache(), rendering: make(chan struct{}, rendersAtOnce), large: make(chan struct{}, 1), validated: lru.New(keptValidated)}
	b.open = sync.OnceValues(b.connect)
	return b
}

func (b *Backend) connect() (*clients, error) {
	to, err := b.cfg.Connect()
	if err != nil {
		return nil, err
	}
	c := &clients{Connection: to}
	var errs [3]error
	c.typed, errs[0] = client.NewForConfigAndClient(c.Config, c.HTTP)
	c.heads, errs[1] = metadata.NewForConfigAndClient(metadata.ConfigFor(c.Config), c.HTTP)
	c.objects, errs[2] = dynamic.NewForConfigAndClient(c.Config, c.HTTP)
	if err := errors.Join(errs[:]...); err != nil {
		return nil, clientgo.Misconfigured(err)
	}
	if b.cfg.Identity != mcpkit.IdentityCaller {
		c.shared = newTypes(c.typed.Discovery())
	}
	return c, nil
}

// types are those that the cluster shows to whom it takes a request of ctx for.
// What one caller sees is not kept for the next.
func (c *clients) types(ctx context.Context) (*servedTypes, error) {
	if c.shared != nil {
		return c.shared, nil
	}
	d, err := discovery.NewDiscoveryClientForConfig(c.Bound(ctx))
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the cluster's types cannot be asked for: %w", err)
	}
	return newTypes(d), nil
}

// storage is where Helm keeps releases.
const storage = "secrets"

// configuration is what Helm's actions work on: the releases of one namespace,
// all of them if it is empty, through requests that end with ctx.
func (b *Backend) configuration(ctx context.Context, namespace string) (*action.Configuration, error) {
	g, err := b.getter(ctx, namespace)
	if err != nil {
		return nil, err
	}
	return b.actions(g, namespace)
}

// actions is a configuration over the clients of g.
func (b *Backend) actions(g genericclioptions.RESTClientGetter, namespace string) (*action.Configuration, error) {
	cfg := new(action.Configuration)
	quiet := func(string, ...any) {}
	if err := cfg.Init(g, namespace, storage, quiet); err != nil {
		return nil, translate(err, "prepare Helm's storage")
	}
	cfg.KubeClient.(*kube.Client).Factory = &validating{cmdutil.NewFactory(g), b.validated}
	return cfg, nil
}

// getter hands Helm our clients for one call.
type getter struct {
	*clients
	*servedTypes
	ctx       context.Context
	namespace string
}

func (b *Backend) getter(ctx context.Context, namespace string) (*getter, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	types, err := c.types(ctx)
	if err != nil {
		return nil, err
	}
	return &getter{c, types, ctx, namespace}, nil
}

// ToRESTConfig returns a configuration whose requests end with the call.
func (g *getter) ToRESTConfig() (*rest.Config, error) { return g.Bound(g.ctx), nil }

// ToDiscoveryClient returns the types the cluster serves.
func (g *getter) ToDiscoveryClient() (discovery.CachedDiscoveryInterface, error) {
	return g.discovery, nil
}

// ToRESTMapper maps kinds to resources.
func (g *getter) ToRESTMapper() (meta.RESTMapper, error) { return g.mapper, nil }

// ToRawKubeConfigLoader tells Helm the call's namespace.
func (g *getter) ToRawKubeConfigLoader() clientcmd.ClientConfig {
	return inNamespace{g.Kubeconfig, g.namespace}
}

// loader is a ClientConfig that can be embedded beside its method of that name.
type loader interface{ clientcmd.ClientConfig }

type inNamespace struct {
	loader
	namespace string
}

// Namespace is the call's, never the kubeconfig's.
func (n inNamespace) Namespace() (string, bool, error) { return n.namespace, true, nil }
