// Package clientgo is how tool servers over Kubernetes' Go client reach the one
// cluster they serve, and how they tell a model what it answers. It compiles
// against that client from 0.31 on, so that every server can have it. It refuses
// to choose clients or types: each server makes those it needs over the
// connection.
package clientgo

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/spf13/pflag"
	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// dialTimeout bounds how long an unreachable API server can hold up a call.
const dialTimeout = 5 * time.Second

// Cluster says which cluster to serve. Given nothing it is the one of KUBECONFIG
// or ~/.kube/config, or the one the process runs in.
type Cluster struct {
	Kubeconfig string          // path; wins over everything
	Context    string          // of the kubeconfig; its current context if empty
	UserAgent  string          // what the API server's audit log calls us
	Identity   mcpkit.Identity // as whom the cluster is asked; mcpkit.IdentityServer if empty
}

// Flags adds the flags by which an operator says which cluster.
func (c *Cluster) Flags(f *pflag.FlagSet) {
	f.StringVar(&c.Kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster; wins over KUBECONFIG and over the cluster the server runs in")
	f.StringVar(&c.Context, "context", "", "`context` of the kubeconfig; its current context if absent")
}

// Connection is what all clients of a server are made of, over one connection
// pool. Where the server acts as its callers, a request belongs to a call or is
// refused.
type Connection struct {
	Config     *rest.Config
	HTTP       *http.Client
	Kubeconfig clientcmd.ClientConfig
}

// Connect prepares the way to the cluster; it asks it nothing. The error is for a
// model, and says what a person must set right.
func (c *Cluster) Connect() (*Connection, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = c.Kubeconfig
	kubeconfig := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules,
		&clientcmd.ConfigOverrides{CurrentContext: c.Context})
	config, err := kubeconfig.ClientConfig()
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "no cluster is configured: %w; start the server with --kubeconfig, or with KUBECONFIG set", err)
	}
	config.UserAgent = c.UserAgent
	config.QPS = -1 // the API server's own priority and fairness limits us
	config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	config.WarningHandler = rest.NoWarnings{}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return mcpkit.NameCaller(next, config.UserAgent) })
	if c.Identity == mcpkit.IdentityCaller {
		if config.Impersonate.UserName != "" {
			return nil, mcpkit.Errorf(mcpkit.Unavailable, "the kubeconfig acts as %s, and --identity=caller as each caller: a person must give this server credentials of its own", config.Impersonate.UserName)
		}
		config.Wrap(locks.ActAsCaller)
	}
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, Misconfigured(err)
	}
	return &Connection{config, hc, kubeconfig}, nil
}

// Misconfigured says that no client can be made of the cluster's configuration.
func Misconfigured(err error) error {
	return mcpkit.Errorf(mcpkit.Unavailable, "the cluster's configuration does not work: %w", err)
}

// Bound is the way to the cluster for a client that takes no context of its own,
// such as kubectl's or Helm's: its requests end with ctx, and go through the pool
// that all others use.
func (c *Connection) Bound(ctx context.Context) *rest.Config {
	return &rest.Config{
		Host:           c.Config.Host,
		APIPath:        c.Config.APIPath,
		QPS:            c.Config.QPS,
		WarningHandler: c.Config.WarningHandler,
		Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			return c.HTTP.Transport.RoundTrip(r.WithContext(ctx))
		}),
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
