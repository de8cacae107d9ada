package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/kubectl/pkg/util/podutils"
)

var clusterHealth = mcpkit.Tool{
	Name:        "k8s_cluster_health",
	Title:       "What is broken in the cluster",
	Description: "What is broken now in the cluster or one namespace, by cause, worst first, with the objects each cause hits. Start here; why one of them: k8s_diagnose.",
	Narrow:      "name a namespace, or lower limit",
	Rules: []mcpkit.Rule{
		readRule("", "events", "namespaces", "nodes", "persistentvolumeclaims", "pods", "services"),
		readRule("apps", "daemonsets", "deployments", "statefulsets"),
		readRule("batch", "cronjobs", "jobs"),
		readRule("autoscaling", "horizontalpodautoscalers"),
		readRule("discovery.k8s.io", "endpointslices"),
		readRule("storage.k8s.io", "storageclasses"),
		readRule("apiregistration.k8s.io", "apiservices"),
		readRule("admissionregistration.k8s.io", "mutatingwebhookconfigurations", "validatingwebhookconfigurations"),
	},
}

type ClusterHealthIn struct {
	Namespace string `json:"namespace,omitempty" jsonschema:"the whole cluster if absent"`
	Limit     int    `json:"limit,omitempty" jsonschema:"most causes; 20 if absent"`
}

func (ClusterHealthIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(200.0)
}

type ClusterHealthOut struct {
	Verdict string `json:"verdict" jsonschema:"how many causes of each severity, and how many pods are ready"`
	mcpkit.Left
	Problems    mcpkit.Table `json:"problems,omitzero" jsonschema:"one row a cause, worst first"`
	Events      mcpkit.Table `json:"events,omitzero" jsonschema:"warnings of the last hour that no problem above covers, most frequent first"`
	Checked     string       `json:"checked"`
	NotLookedAt []string     `json:"not_looked_at,omitempty"`
}

func (b *Backend) clusterHealth(ctx context.Context, in ClusterHealthIn) (ClusterHealthOut, error) {
	c, err := b.open()
	if err != nil {
		return ClusterHealthOut{}, err
	}
	if in.Namespace != "" {
		if err := checkNames(in.Namespace); err != nil {
			return ClusterHealthOut{}, err
		}
		if err := b.requireNamespace(ctx, in.Namespace); err != nil {
			return ClusterHealthOut{}, err
		}
		mcpkit.SetTarget(ctx, named("namespaces", "", in.Namespace))
	}
	h := &health{b: b, c: c, ns: in.Namespace, now: b.now(), events: newEventPool(b.now())}
	h.look(ctx)
	if err := ctx.Err(); err != nil {
		return ClusterHealthOut{}, err
	}
	if err := h.failed(); err != nil {
		return ClusterHealthOut{}, err
	}
	h.join()
	return h.answer(in), nil
}

// health is one look over a cluster: counts and causes, never the objects.
type health struct {
	gathering
	b   *Backend
	c   *clients
	ns  string // all if empty
	now time.Time

	pods, ready int
	problems    problemBook
	workloads   workloadStates
	services    serviceStates
	events      eventPool
}

// look reads everything that can be broken, page by page.
func (h *health) look(ctx context.Context) {
	steps := []func(context.Context){
		h.checkPods, h.checkDeployments, h.checkStatefulSets, h.checkDaemonSets, h.checkJobs, h.checkClaims,
		h.checkAutoscalers, h.checkServices, h.checkEvents,
	}
	if h.ns == "" {
		steps = append(steps, h.checkNodes, h.checkNamespaces, h.checkAPIServices)
	}
	h.together(ctx, steps...)
	h.judgeServices()
	if h.ns == "" {
		h.checkWebhooks(ctx) // they name services
	}
}

// checkPods sorts the pods that have faults by cause and owner.
func (h *health) checkPods(ctx context.Context) {
	gather(ctx, &h.gathering, "pods", h.c.typed.CoreV1().Pods(h.ns).List, metav1.ListOptions{}, func(p *corev1.Pod) {
		if p.Status.Phase == corev1.PodSucceeded {
			return
		}
		owner := metav1.GetControllerOf(p)
		if p.Status.Phase == corev1.PodFailed && owner != nil && owner.Kind == "Job" {
			return // the job says whether that matters
		}
		h.pods++
		if podutils.IsPodReady(p) && p.DeletionTimestamp == nil {
			h.ready++
		}
		for _, f := range podFaults(p, h.now) {
			if f.kind == faultEvicted && owner != nil {
				f.severity = info // its owner has made another
			}
			if f.severity == info && f.kind != faultEvicted {
				continue
			}
			kind, name, _ := strings.Cut(podOwner(p), " ")
			h.problems.add(f.severity, f.cause, objectName(kind, p.Namespace, name), healthDetail(f), int(f.restarts))
		}
	})
}

// detailBytes is how much of a reason in somebody else's words a row shows.
const detailBytes = 160

// healthDetail is what a row says of a fault besides its cause.
func healthDetail(f fault) string {
	switch {
	case f.kind == faultSchedule:
		head, _, _ := strings.Cut(f.message, " no new claims to deallocate")
		head, _, _ = strings.Cut(head, " preemption: ")
		return abridge(head, detailBytes)
	case f.kind == faultConfig:
		return "" // its cause is the whole reason
	case f.ending != "":
		return f.ending
	case f.message != "" && f.kind != faultCrash:
		return abridge(f.message, detailBytes)
	}
	return abridge(f.what, detailBytes)
}

// recentWarning is how old a warning may be to be told as one of now.
const recentWarning = time.Hour

// covered are the reasons of events that only repeat what is seen on the
// objects themselves.
var covered = map[string]bool{
	"BackOff": true, "Failed": true, "FailedScheduling": true, "FailedCreate": true, "Unhealthy": true, "ProvisioningFailed": true, "FailedBinding": true,
	"BackoffLimitExceeded": true, "DeadlineExceeded": true, "FailedGetResourceMetric": true, "FailedComputeMetricsReplicas": true, "FailedGetScale": true,
	"NodeNotReady": true,
}

func (h *health) checkEvents(ctx context.Context) {
	gather(ctx, &h.gathering, "warning events", h.c.typed.CoreV1().Events(h.ns).List, metav1.ListOptions{FieldSelector: "type=" + corev1.EventTypeWarning}, func(e *corev1.Event) {
		if _, last, _ := occurrences(e); h.now.Sub(last) < recentWarning && !covered[e.Reason] {
			h.events.tally.add(e)
		}
	})
}

// maxHealthEvents is how many groups of events are shown.
const maxHealthEvents = 6

func (h *health) answer(in ClusterHealthIn) ClusterHealthOut {
	out := ClusterHealthOut{Checked: h.lookedAt(), NotLookedAt: h.notLookedAt()}
	rows := h.problems.ranked()
	shown, cut := mcpkit.FirstN(rows, in.Limit, 20)
	counts := map[string]int{}
	for _, r := range rows {
		counts[r.severity]++
	}
	state := fmt.Sprintf("%d of %s ready", h.ready, plural(h.pods, "pod"))
	switch {
	case counts[critical] > 0:
		out.Verdict = fmt.Sprintf("broken: %s critical, %d warning; %s", plural(counts[critical], "cause"), counts[warning], state)
	case counts[warning] > 0:
		out.Verdict = fmt.Sprintf("impaired: %s warning; %s", plural(counts[warning], "cause"), state)
	default:
		out.Verdict = "healthy: " + state
	}
	for _, r := range shown {
		out.Problems.Columns = []string{"severity", "cause", "objects", "detail"}
		out.Problems.Rows = append(out.Problems.Rows, []string{r.severity, r.cause, r.affected(), r.detail})
	}
	out.Events = h.events.frequent(maxHealthEvents)
	if out.Truncated = cut; cut {
		out.LeftOut = fmt.Sprintf("problems: %d of %d causes shown; %s", len(shown), len(rows), clusterHealth.Narrow)
	}
	return out
}
