package controller

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/toolcrib/toolcrib/controller/agent"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"
)

// Options are what the controller is started with.
type Options struct {
	Kubeconfig string       // path; the cluster it runs in if empty
	Config     *rest.Config // instead of Kubeconfig, for whoever has one already

	LeaderElection          bool
	LeaderElectionNamespace string // the pod's own if empty
	MetricsAddress          string // 0 for none
	ProbesAddress           string // 0 for none
	AlertsAddress           string // 0 or empty for none
	AlertsAudience          string // of the tokens of whoever sends alerts; the own ServiceAccount's if empty
	ApprovalRetention       time.Duration
	WatchNamespaces         []string
	LogLevel                string // debug, info, warn or error
	Workers                 int    // objects of one kind that are reconciled at a time

	AgentImage            string
	AgentImagePullPolicy  string
	AgentImagePullSecrets []string
	AgentMonitoring       string            // YAML: peers of a NetworkPolicy that may read agents' metrics; nobody if empty
	ModelGateways         map[string]string // URLs by provider, for ModelConfigs that name none
	PricesFile            string            // of YAML; agents count no cost if empty
}

// Bind adds the flags. In a cluster, one of several controllers works and the
// others wait.
func (o *Options) Bind(f *pflag.FlagSet, inCluster bool) {
	alerts := "0"
	if inCluster {
		alerts = ":8082"
	}
	f.StringVar(&o.Kubeconfig, "kubeconfig", "", "kubeconfig `file` of the cluster; the cluster that the controller runs in if absent")
	f.BoolVar(&o.LeaderElection, "leader-elect", inCluster, "work only while no other controller does; on by default in a cluster")
	f.StringVar(&o.LeaderElectionNamespace, "leader-election-namespace", "", "`namespace` of the lease; the controller's own if absent")
	f.StringVar(&o.MetricsAddress, "metrics-address", ":8080", "`address` of /metrics; 0 for none")
	f.StringVar(&o.ProbesAddress, "probes-address", ":8081", "`address` of /healthz and /readyz; 0 for none")
	f.StringVar(&o.AlertsAddress, "alerts-address", alerts, "`address` of the webhook that Alertmanager sends alerts to, at /alerts/NAMESPACE/TRIGGER; 0 for none; :8082 by default in a cluster")
	f.StringVar(&o.AlertsAudience, "alerts-audience", "", "`audience` of the tokens of whoever sends alerts; NAME.NAMESPACE.svc of the controller's ServiceAccount if absent")
	f.DurationVar(&o.ApprovalRetention, "approval-retention", 7*24*time.Hour, "`time` for which approvals are kept once they have expired")
	f.StringSliceVar(&o.WatchNamespaces, "watch-namespaces", nil, "`namespaces` whose objects are reconciled; all if absent")
	f.StringVar(&o.LogLevel, "log-level", "info", "least `level` that is logged: debug, info, warn or error")
	f.IntVar(&o.Workers, "workers", 8, "`number` of objects of one kind that are reconciled at a time")
	f.StringVar(&o.AgentImage, "agent-image", "ghcr.io/toolcrib/agentcore:devel", "`image` of agents")
	f.StringVar(&o.AgentImagePullPolicy, "agent-image-pull-policy", "", "when that image is pulled: Always, IfNotPresent or Never; as Kubernetes decides if absent")
	f.StringSliceVar(&o.AgentImagePullSecrets, "agent-image-pull-secrets", nil, "`names` of Secrets, in each agent's namespace, to pull that image with")
	f.StringVar(&o.AgentMonitoring, "agent-monitoring", "", "`peers`, as in a NetworkPolicy, that may read the metrics of agents: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: monitoring}}}]; nobody if absent")
	f.StringToStringVar(&o.ModelGateways, "model-gateways", nil, "`URLs` at which the models of a provider are reached, for ModelConfigs that name none: Anthropic=URL,OpenAI=URL")
	f.StringVar(&o.PricesFile, "prices", "", "`file` of YAML with the prices of models, by which agents count cost")
}

func (o Options) restConfig() (*rest.Config, error) {
	if o.Config != nil {
		return rest.CopyConfig(o.Config), nil
	}
	if o.Kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("%w; outside of a cluster say --kubeconfig", err)
		}
		return config, nil
	}
	return clientcmd.BuildConfigFromFlags("", o.Kubeconfig)
}

func (o Options) logger() (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(o.LogLevel)); err != nil && o.LogLevel != "" {
		return nil, fmt.Errorf("--log-level %s: write debug, info, warn or error", o.LogLevel)
	}
	return slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: level})), nil
}

// prices is the text of the price table. That it is a table at all is checked
// here; agents know what it must hold.
func (o Options) prices() (string, error) {
	if o.PricesFile == "" {
		return "", nil
	}
	text, err := os.ReadFile(o.PricesFile)
	if err != nil {
		return "", fmt.Errorf("--prices: %w", err)
	}
	var table map[string]any
	if err := yaml.Unmarshal(text, &table); err != nil {
		return "", fmt.Errorf("--prices %s: %w", o.PricesFile, err)
	}
	return string(text), nil
}

func (o Options) monitoring() ([]networkingv1.NetworkPolicyPeer, error) {
	var peers []networkingv1.NetworkPolicyPeer
	if err := yaml.UnmarshalStrict([]byte(o.AgentMonitoring), &peers); err != nil {
		return nil, fmt.Errorf("--agent-monitoring: write a list of peers as in a NetworkPolicy: %w", err)
	}
	return peers, nil
}

func (o Options) check() error {
	switch corev1.PullPolicy(o.AgentImagePullPolicy) {
	case "", corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever:
	default:
		return fmt.Errorf("--agent-image-pull-policy %s: write Always, IfNotPresent or Never", o.AgentImagePullPolicy)
	}
	if strings.TrimSpace(o.AgentImage) == "" {
		return fmt.Errorf("--agent-image: name the image of agents")
	}
	if err := agent.CheckGateways(o.ModelGateways); err != nil {
		return fmt.Errorf("--model-gateways: %w", err)
	}
	if o.ApprovalRetention < 0 {
		return fmt.Errorf("--approval-retention %s: give 0s or more", o.ApprovalRetention)
	}
	if o.Workers < 1 {
		return fmt.Errorf("--workers %d: give at least 1", o.Workers)
	}
	return nil
}
