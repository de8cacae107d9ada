package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var getClusterConfiguration = mcpkit.Tool{
	Name:        "k8s_get_cluster_configuration",
	Title:       "Summarize the cluster",
	Description: "What this cluster is: version, nodes by kind, capacity, add-on APIs, and what it offers (storage and ingress classes, metrics, admission, pod security). For what is broken use k8s_cluster_health.",
	Narrow:      "list one type with k8s_get_resources instead",
	Rules: []mcpkit.Rule{
		readRule("", "namespaces", "nodes"),
		readRule("storage.k8s.io", "csidrivers", "storageclasses"),
		readRule("networking.k8s.io", "ingressclasses"),
		readRule("node.k8s.io", "runtimeclasses"),
		readRule("scheduling.k8s.io", "priorityclasses"),
		readRule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "validatingadmissionpolicies", "validatingwebhookconfigurations"),
		readRule("apiregistration.k8s.io", "apiservices"),
	},
}

type GetClusterConfigurationIn struct{}

type GetClusterConfigurationOut struct {
	Version  string   `json:"version,omitempty"`
	Nodes    string   `json:"nodes,omitempty"`
	Capacity string   `json:"capacity,omitempty" jsonschema:"of all nodes, and what of it pods may use"`
	AddOns   []string `json:"add_ons,omitempty" jsonschema:"API groups that are not Kubernetes' own, with their types"`
	mcpkit.Left
	NotLookedAt []string      `json:"not_looked_at,omitempty"`
	NodeKinds   *mcpkit.Table `json:"node_kinds,omitempty"`
	Features    mcpkit.Table  `json:"features"`
}

// inventory gathers what a cluster is.
type inventory struct {
	gathering
	b        *Backend
	c        *clients
	version  string
	addOns   []string
	nodes    nodeSummary
	features map[string][]string
}

func (b *Backend) getClusterConfiguration(ctx context.Context, _ GetClusterConfigurationIn) (GetClusterConfigurationOut, error) {
	c, err := b.open()
	if err != nil {
		return GetClusterConfigurationOut{}, err
	}
	if err := b.reachable(ctx); err != nil {
		return GetClusterConfigurationOut{}, err
	}
	i := &inventory{b: b, c: c, nodes: newNodeSummary(), features: map[string][]string{}}
	i.together(ctx, i.readVersion, i.readTypes, i.readNodes, i.readNamespaces, i.readStorage, i.readNetwork, i.readClasses, i.readAdmission)
	if err := ctx.Err(); err != nil {
		return GetClusterConfigurationOut{}, err
	}
	return GetClusterConfigurationOut{
		Version: i.version, Nodes: i.nodes.counts(), Capacity: i.nodes.capacity(), AddOns: i.addOns,
		NotLookedAt: i.notLookedAt(), NodeKinds: i.nodes.table(), Features: i.table(),
	}, nil
}

// reachable fails where nothing could be read because nobody answers.
func (b *Backend) reachable(ctx context.Context) error {
	_, _, err := b.allTypes(ctx, true)
	return err
}

// fact adds to what is known of a feature. Each feature is one step's own.
func (i *inventory) fact(feature, format string, args ...any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.features[feature] = append(i.features[feature], fmt.Sprintf(format, args...))
}

// none says that there are none of a kind, if it could be looked at.
func (i *inventory) none(kind, feature string) {
	i.mu.Lock()
	n, looked := i.counts[kind]
	i.mu.Unlock()
	if looked && n == 0 {
		i.fact(feature, "none")
	}
}

// maxFacts is how many facts of one feature are listed one by one.
const maxFacts = 12

func (i *inventory) table() mcpkit.Table {
	t := mcpkit.Table{Columns: []string{"feature", "is"}, Rows: [][]string{}}
	for _, feature := range sortedKeys(i.features) {
		facts := slices.Compact(slices.Sorted(slices.Values(i.features[feature])))
		t.Rows = append(t.Rows, []string{feature, strings.Join(facts[:min(maxFacts, len(facts))], "; ") + more(len(facts)-maxFacts)})
	}
	return t
}

func (i *inventory) readVersion(ctx context.Context) {
	v, err := i.c.discovery.ServerVersionWithContext(ctx)
	if err != nil {
		i.missedOut("version", err)
		return
	}
	i.version = v.GitVersion + " " + v.Platform
}

// readTypes finds add-ons by the API groups they bring, and the metrics API.
func (i *inventory) readTypes(ctx context.Context) {
	types, broken, err := i.b.allTypes(ctx, false)
	if err != nil {
		i.missedOut("resource types", err)
		return
	}
	groups, metrics := map[string][]string{}, false
	for _, t := range types {
		metrics = metrics || t.Group == "metrics.k8s.io"
		if gv := t.GroupVersion().String(); groupRank(gv) == addOnGroup && !slices.Contains(groups[t.Group], t.Resource) {
			groups[t.Group] = append(groups[t.Group], t.Resource)
		}
	}
	for _, g := range sortedKeys(groups) {
		names := groups[g]
		i.addOns = append(i.addOns, g+": "+strings.Join(names[:min(6, len(names))], " ")+more(len(names)-6))
	}
	for _, gv := range i.b.whyBroken(ctx, broken) {
		i.fact("api groups that do not answer", "%s", gv)
		metrics = metrics || strings.HasPrefix(gv, "metrics.k8s.io/")
	}
	if !metrics {
		i.fact("metrics api", "none: no usage by k8s_top, no autoscaling on cpu or memory")
	} else if !slices.ContainsFunc(broken, func(gv string) bool { return strings.HasPrefix(gv, "metrics.k8s.io/") }) {
		i.fact("metrics api", "available")
	}
}

func (i *inventory) readNodes(ctx context.Context) {
	gather(ctx, &i.gathering, "nodes", i.c.typed.CoreV1().Nodes().List, metav1.ListOptions{}, i.nodes.add)
}

const podSecurityLabel = "pod-security.kubernetes.io/"

// readNamespaces sums up what pod security is asked of namespaces.
func (i *inventory) readNamespaces(ctx context.Context) {
	levels, total := map[string]int{}, 0
	gather(ctx, &i.gathering, "namespaces", i.c.typed.CoreV1().Namespaces().List, metav1.ListOptions{}, func(ns *corev1.Namespace) {
		total++
		level := ns.Labels[podSecurityLabel+"enforce"]
		if level == "" {
			level = "nothing"
		}
		levels[level]++
		if ns.Name != metav1.NamespaceDefault {
			return
		}
		for _, label := range sortedKeys(ns.Labels) {
			if mode, ok := strings.CutPrefix(label, podSecurityLabel); ok {
				i.fact("pod security", "namespace default: %s=%s", mode, ns.Labels[label])
			}
		}
	})
	for _, level := range sortedKeys(levels) {
		i.fact("pod security", "%d of %d namespaces enforce %s", levels[level], total, level)
	}
}

func (i *inventory) readStorage(ctx context.Context) {
	gather(ctx, &i.gathering, "storageclasses", i.c.typed.StorageV1().StorageClasses().List, metav1.ListOptions{}, func(s *storagev1.StorageClass) {
		mode := ""
		if s.VolumeBindingMode != nil {
			mode = ", " + string(*s.VolumeBindingMode)
		}
		i.fact("storage classes", "%s%s (%s%s)", s.Name, isDefault(s.Annotations, "storageclass.kubernetes.io/is-default-class"), s.Provisioner, mode)
	})
	i.none("storageclasses", "storage classes")
	gather(ctx, &i.gathering, "csidrivers", i.c.typed.StorageV1().CSIDrivers().List, metav1.ListOptions{}, func(d *storagev1.CSIDriver) {
		i.fact("csi drivers", "%s", d.Name)
	})
}

func (i *inventory) readNetwork(ctx context.Context) {
	gather(ctx, &i.gathering, "ingressclasses", i.c.typed.NetworkingV1().IngressClasses().List, metav1.ListOptions{}, func(c *networkingv1.IngressClass) {
		i.fact("ingress classes", "%s%s (%s)", c.Name, isDefault(c.Annotations, networkingv1.AnnotationIsDefaultIngressClass), c.Spec.Controller)
	})
	i.none("ingressclasses", "ingress classes")
}

func isDefault(annotations map[string]string, key string) string {
	if annotations[key] == "true" {
		return ", default"
	}
	return ""
}

func (i *inventory) readClasses(ctx context.Context) {
	gather(ctx, &i.gathering, "runtimeclasses", i.c.typed.NodeV1().RuntimeClasses().List, metav1.ListOptions{}, func(c *nodev1.RuntimeClass) {
		i.fact("runtime classes", "%s (%s)", c.Name, c.Handler)
	})
	gather(ctx, &i.gathering, "priorityclasses", i.c.typed.SchedulingV1().PriorityClasses().List, metav1.ListOptions{}, func(c *schedulingv1.PriorityClass) {
		global := ""
		if c.GlobalDefault {
			global = ", default"
		}
		if !strings.HasPrefix(c.Name, "system-") {
			i.fact("priority classes", "%s%s (%d)", c.Name, global, c.Value)
		}
	})
}

func (i *inventory) readAdmission(ctx context.Context) {
	api := i.c.typed.AdmissionregistrationV1()
	gather(ctx, &i.gathering, "validatingadmissionpolicies", api.ValidatingAdmissionPolicies().List, metav1.ListOptions{}, func(p *admissionv1.ValidatingAdmissionPolicy) {
		i.fact("validating admission policies", "%s", p.Name)
	})
	gather(ctx, &i.gathering, "validatingwebhookconfigurations", api.ValidatingWebhookConfigurations().List, metav1.ListOptions{}, func(w *admissionv1.ValidatingWebhookConfiguration) {
		i.fact("validating webhooks", "%s (%d)", w.Name, len(w.Webhooks))
	})
	gather(ctx, &i.gathering, "mutatingwebhookconfigurations", api.MutatingWebhookConfigurations().List, metav1.ListOptions{}, func(w *admissionv1.MutatingWebhookConfiguration) {
		i.fact("mutating webhooks", "%s (%d)", w.Name, len(w.Webhooks))
	})
}
