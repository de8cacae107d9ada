// Package locks asks a Kubernetes cluster who calls a tool server, what that
// caller may call, and whether a person has approved a write. It is the one
// place where the servers' kit meets Kubernetes, compiles against its client
// from 0.31 on, and refuses to decide anything itself: the cluster's RBAC and
// the people it names do.
package locks

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	"golang.org/x/time/rate"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Locks are the locks of one cluster. They implement [mcpkit.Locks].
type Locks struct {
	cfg mcpkit.LocksConfig
	*cluster
	clock   cache.Clock
	callers *answers[mcpkit.Caller] // by token
	rights  *answers[bool]          // by caller and right
	asides  rate.Sometimes          // of what the API server says besides
}

// Bounds of what is remembered and asked of the API server: tokens of as many
// callers, and each of them lists some dozen tools.
const (
	keptCallers, reviewedAtOnce = 2 << 10, 16
	keptRights, askedAtOnce     = 32 << 10, 32
)

// cluster is the way to the API server, with one client for each group.
type cluster struct {
	namespace      string
	authentication rest.Interface
	authorization  rest.Interface
	approvals      rest.Interface
}

// Bounds of one request to the API server.
const (
	dialTimeout = 3 * time.Second
	askTimeout  = 10 * time.Second
)

// Open returns the locks of the cluster cfg names. It does not connect; the
// error says what is wrong with the configuration.
func Open(cfg mcpkit.LocksConfig) (mcpkit.Locks, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = cfg.Kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{})
	config, err := loader.ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no cluster is configured that knows callers and approvals; say which with --locks-kubeconfig or KUBECONFIG")
	}
	if err != nil {
		return nil, fmt.Errorf("the cluster that knows callers and approvals, see --locks-kubeconfig: %w", err)
	}
	config.UserAgent = cfg.UserAgent
	config.QPS = -1 // the API server's own priority and fairness limits us
	config.Timeout = askTimeout
	config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	in := namespace(cfg, loader)
	if wrong := validation.IsDNS1123Label(in); len(wrong) > 0 {
		return nil, fmt.Errorf("%q cannot be the namespace that callers are granted tools in, see --locks-namespace: %s", in, wrong[0])
	}
	c, err := newCluster(config, in)
	if err != nil {
		return nil, fmt.Errorf("the cluster that knows callers and approvals, see --locks-kubeconfig: %w", err)
	}
	return newLocks(cfg, c, clock{}), nil
}

func newLocks(cfg mcpkit.LocksConfig, c *cluster, now cache.Clock) *Locks {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Locks{
		cfg: cfg, cluster: c, clock: now,
		callers: newAnswers[mcpkit.Caller](keptCallers, reviewedAtOnce, now),
		rights:  newAnswers[bool](keptRights, askedAtOnce, now),
		asides:  rate.Sometimes{First: 10, Interval: time.Minute},
	}
}

type clock struct{}

func (clock) Now() time.Time { return time.Now() }

// podNamespace is where a pod finds its namespace.
const podNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

func namespace(cfg mcpkit.LocksConfig, loader clientcmd.ClientConfig) string {
	if cfg.Namespace != "" {
		return cfg.Namespace
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
	for _, add := range []func(*runtime.Scheme) error{authenticationv1.AddToScheme, authorizationv1.AddToScheme, v1alpha1.AddToScheme, metav1.AddMetaToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("make the scheme: %w", err)
		}
	}
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, err
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

var _ mcpkit.Locks = (*Locks)(nil)
