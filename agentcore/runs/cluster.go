package runs

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// Cluster keeps runs as AgentRun objects in the agent's namespace.
type Cluster struct {
	agent  declared.Agent
	client rest.Interface
	pod    string // what the holders of this pod's claims begin with
	holder string // this process

	mu     sync.Mutex
	day    time.Time              // that the ledger is of
	ledger map[types.UID]spending // of its runs, also those that are deleted
}

// Bounds of requests to the API server.
const (
	dialTimeout = 3 * time.Second
	askTimeout  = 10 * time.Second
)

// OpenCluster opens the runs of an agent in the cluster that kubeconfig names:
// KUBECONFIG, or the cluster that the process runs in, if it is empty. What one
// replica has claimed it takes up again when it is started anew; its name is the
// host's, which is the pod's, if empty. OpenCluster does not connect; the error is
// about the configuration.
func OpenCluster(a declared.Agent, kubeconfig, userAgent, replica string) (*Cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = kubeconfig
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{}).ClientConfig()
	if clientcmd.IsEmptyConfig(err) {
		return nil, errors.New("no cluster is configured that could keep runs; run in a pod, set KUBECONFIG, or keep runs in a directory")
	}
	if err != nil {
		return nil, fmt.Errorf("the cluster that keeps runs: %w", err)
	}
	config.UserAgent, config.QPS = userAgent, -1
	config.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second}).DialContext
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), metav1.AddMetaToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("make the scheme: %w", err)
	}
	config.GroupVersion, config.APIPath = &v1alpha1.GroupVersion, "/apis"
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	client, err := rest.RESTClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("the cluster that keeps runs: %w", err)
	}
	if replica == "" {
		if replica, err = os.Hostname(); err != nil {
			return nil, fmt.Errorf("the name of this pod: %w", err)
		}
	}
	return &Cluster{agent: a, client: client, pod: replica + "/", holder: replica + "/" + rand.Text()[:10], ledger: map[types.UID]spending{}}, nil
}

// on is a request about the agent's runs. Those that only look are tried again
// by whoever needs the answer.
func (c *Cluster) on(r *rest.Request) *rest.Request {
	return r.Namespace(c.agent.Namespace).Resource("agentruns").MaxRetries(1)
}

// Create implements [Store].
func (c *Cluster) Create(ctx context.Context, r v1alpha1.AgentRun) (v1alpha1.AgentRun, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	r.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AgentRun"}
	r.Namespace, r.Spec.Agent = c.agent.Namespace, c.agent.Name
	if r.Name == "" {
		r.Name = newName(c.agent.Name)
	}
	var made v1alpha1.AgentRun
	err := c.on(c.client.Post()).Body(&r).Do(ctx).Into(&made)
	if apierrors.IsAlreadyExists(err) {
		return made, ErrExists
	}
	return made, told(err)
}

// Get implements [Store].
func (c *Cluster) Get(ctx context.Context, name string) (v1alpha1.AgentRun, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	var r v1alpha1.AgentRun
	if !goodName(name) {
		return r, ErrNotFound
	}
	err := c.on(c.client.Get()).Name(name).Do(ctx).Into(&r)
	if err == nil && r.Spec.Agent != c.agent.Name {
		return v1alpha1.AgentRun{}, ErrNotFound
	}
	return r, told(err)
}

// Cancel implements [Store].
func (c *Cluster) Cancel(ctx context.Context, name string) error {
	r, err := c.Get(ctx, name)
	switch {
	case err != nil:
		return err
	case r.Status.Phase.Final():
		return ErrOver
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	err = c.on(c.client.Patch(types.MergePatchType)).Name(name).Body([]byte(`{"spec":{"cancel":true}}`)).Do(ctx).Error()
	return told(err)
}

// Bounds of what is read of a conversation.
const (
	mostExchanges = 10
	mostOfContext = 200
)

// Conversation implements [Store]. It reads the list without the events first,
// which may take a lot of memory.
func (c *Cluster) Conversation(ctx context.Context, id string) ([]v1alpha1.AgentRun, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	rows, _, err := c.table(ctx, c.client.Get().Param("labelSelector", ContextLabel+"="+Label(id)).
		Param("fieldSelector", "spec.agent="+c.agent.Name).Param("limit", fmt.Sprint(mostOfContext)))
	if err != nil {
		return nil, told(err)
	}
	rows = slices.DeleteFunc(rows, func(r row) bool { return !r.phase.Final() })
	slices.SortFunc(rows, func(a, b row) int { return a.created.Compare(b.created) })
	var out []v1alpha1.AgentRun
	for _, row := range rows[max(0, len(rows)-mostExchanges):] {
		r, err := c.Get(ctx, row.name)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		r.Status.Events = nil
		out = append(out, r)
	}
	return out, nil
}

// told is an error of the API server in our words, where that helps.
func told(err error) error {
	switch {
	case err == nil:
		return nil
	case apierrors.IsNotFound(err):
		var status apierrors.APIStatus
		if errors.As(err, &status) && status.Status().Details != nil && status.Status().Details.Name == "" {
			return fmt.Errorf("the cluster keeps no runs: the type agentruns.toolcrib.dev comes with charts/locks: %w", err)
		}
		return ErrNotFound
	}
	return fmt.Errorf("the cluster that keeps runs: %w", err)
}

func decode[T any](raw []byte) (T, error) {
	var v T
	err := json.Unmarshal(raw, &v)
	return v, err
}
