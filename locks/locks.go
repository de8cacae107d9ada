// Package locks asks a Kubernetes cluster who calls a tool server, what that
// caller may call, and whether a person has approved a write. It is the one
// place where the servers' kit meets Kubernetes, compiles against its client
// from 0.31 on, and refuses to decide anything itself: the cluster's RBAC and
// the people it names do.
package locks

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Locks are the locks of one cluster. They implement [mcpkit.Locks].
type Locks struct {
	cfg  mcpkit.LocksConfig
	open func() (*cluster, error)
}

// cluster is the way to the API server, with one client for each group.
type cluster struct {
	namespace      string
	authentication rest.Interface
	authorization  rest.Interface
	approvals      rest.Interface
}

// Open returns the locks of the cluster cfg names. It does not connect: what is
// wrong with the configuration is said by the first request that needs it.
func Open(cfg mcpkit.LocksConfig) mcpkit.Locks {
	l := &Locks{cfg: cfg}
	l.open = sync.OnceValues(l.connect)
	return l
}

// Bounds of one request to the API server.
const (
	dialTimeout = 5 * time.Second
	askTimeout  = 10 * time.Second
)

func (l *Locks) connect() (*cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = l.cfg.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "no cluster is configured that knows callers: %w; see --locks-kubeconfig", err)
	}
	config.UserAgent = l.cfg.UserAgent
	config.QPS = -1 // the API server's own priority and fairness limits us
	config.Timeout = askTimeout
	config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	return newCluster(config, l.namespace(loader))
}

// podNamespace is where a pod finds its namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func (l *Locks) namespace(loader clientcmd.ClientConfig) string {
	if l.cfg.Namespace != "" {
		return l.cfg.Namespace
	}
	if b, err := os.ReadFile(podNamespace); err == nil {
		return strings.TrimSpace(string(b))
	}
	if ns, _, err := loader.Namespace(); err == nil && ns != "" {
		return ns
	}
	return "default"
}

func newCluster(config *rest.Config, namespace string) (*cluster, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{authenticationv1.AddToScheme, authorizationv1.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("make the scheme: %w", err)
		}
	}
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the configuration of the cluster that knows callers does not work: %w", err)
	}
	group := func(gv schema.GroupVersion) (rest.Interface, error) {
		c := rest.CopyConfig(config)
		c.GroupVersion, c.APIPath = &gv, "/apis"
		c.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
		return rest.RESTClientForConfigAndClient(c, hc)
	}
	c := &cluster{namespace: namespace}
	var errs [3]error
	c.authentication, errs[0] = group(authenticationv1.SchemeGroupVersion)
	c.authorization, errs[1] = group(authorizationv1.SchemeGroupVersion)
	c.approvals, errs[2] = group(v1alpha1.GroupVersion)
	return c, errors.Join(errs[:]...)
}

// unavailable says that the cluster could not be asked; why is for the log.
func unavailable(err error, doing string) error {
	return mcpkit.Wrap(mcpkit.Unavailable, err, "cannot %s: the API server does not answer or refuses this server; try again in a few seconds", doing)
}

var _ mcpkit.Locks = (*Locks)(nil)
