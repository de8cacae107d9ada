package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
)

var diagnose = mcpkit.Tool{
	Name:  "k8s_diagnose",
	Title: "Diagnose a Kubernetes object",
	Description: "Says why one workload, pod, job, service, ingress, PVC, HPA or node is broken, in one call: findings with evidence, events, logs of what crashed, " +
		"scheduling, references, quota, and what the last rollout changed. For the whole cluster use k8s_cluster_health.",
	Narrow: "diagnose one of its pods instead",
	Rules: []mcpkit.Rule{
		readRule("", "configmaps", "events", "limitranges", "nodes", "persistentvolumeclaims", "persistentvolumes", "pods",
			"replicationcontrollers", "resourcequotas", "serviceaccounts", "services"),
		{Groups: []string{""}, Resources: []string{"pods/log"}, Verbs: []string{"get"}},
		readRule("apps", "controllerrevisions", "daemonsets", "deployments", "replicasets", "statefulsets"),
		readRule("batch", "cronjobs", "jobs"),
		readRule("autoscaling", "horizontalpodautoscalers"),
		readRule("networking.k8s.io", "ingressclasses", "ingresses"),
		readRule("discovery.k8s.io", "endpointslices"),
		readRule("storage.k8s.io", "csidrivers", "storageclasses", "volumeattachments"),
		readRule("apiregistration.k8s.io", "apiservices"),
	},
}

type DiagnoseIn struct{ Ref }

type DiagnoseOut struct {
	Object  string `json:"object"`
	Verdict string `json:"verdict" jsonschema:"broken, impaired, healthy, idle or not judged; and the state it is in"`
	mcpkit.Left
	Findings    []Finding    `json:"findings,omitempty"`
	Changed     []string     `json:"changed,omitempty" jsonschema:"what changed last"`
	Chain       []string     `json:"chain,omitempty" jsonschema:"owners above and objects below"`
	Pods        mcpkit.Table `json:"pods,omitzero"`
	Events      mcpkit.Table `json:"events,omitzero" jsonschema:"events the findings do not quote"`
	Logs        []LogTail    `json:"logs,omitempty"`
	LookedAt    string       `json:"looked_at"`
	NotLookedAt []string     `json:"not_looked_at,omitempty"`
}

// LogTail is the end of one container's log.
type LogTail struct {
	Of    string `json:"of" jsonschema:"pod/container, and whether it is the log of the container before"`
	Lines string `json:"lines"`
}

func (b *Backend) diagnose(ctx context.Context, in DiagnoseIn) (DiagnoseOut, error) {
	obj, t, err := b.get(ctx, in.Ref)
	if err != nil {
		return DiagnoseOut{}, err
	}
	c, err := b.open()
	if err != nil {
		return DiagnoseOut{}, err
	}
	d := &diagnosis{b: b, c: c, obj: obj, ns: obj.GetNamespace(), now: b.now(), events: newEventPool(b.now())}
	d.saw(t.Resource, 1)
	d.object = objectName(obj.GetKind(), obj.GetNamespace(), obj.GetName())
	d.deletion(obj)
	if err := d.examine(ctx, t, obj); err != nil {
		return DiagnoseOut{}, err
	}
	if ctx.Err() != nil {
		return DiagnoseOut{}, ctx.Err()
	}
	return d.answer(), nil
}

// diagnosis is one call at work: what it gathers and what it concludes.
type diagnosis struct {
	gathering
	b   *Backend
	c   *clients
	ns  string
	now time.Time

	obj      *unstructured.Unstructured
	object   string
	state    string // of the object, in a few words
	verdict  string // where the findings do not decide it
	findings []Finding
	asides   []Finding // about what stands beside the object, found in any order
	changed  []string
	chain    []string
	pods     mcpkit.Table
	events   eventPool
	logs     []LogTail
}

// examine does what the object's type asks for.
func (d *diagnosis) examine(ctx context.Context, t resourceType, obj *unstructured.Unstructured) error {
	switch t.GroupResource().String() {
	case "pods":
		return examineAs(ctx, obj, d.pod)
	case "deployments.apps":
		return examineAs(ctx, obj, d.deployment)
	case "replicasets.apps":
		return examineAs(ctx, obj, d.replicaSet)
	case "statefulsets.apps":
		return examineAs(ctx, obj, d.statefulSet)
	case "daemonsets.apps":
		return examineAs(ctx, obj, d.daemonSet)
	case "jobs.batch":
		return examineAs(ctx, obj, d.job)
	case "cronjobs.batch":
		return examineAs(ctx, obj, d.cronJob)
	case "services":
		return examineAs(ctx, obj, d.service)
	case "ingresses.networking.k8s.io":
		return examineAs(ctx, obj, d.ingress)
	case "persistentvolumeclaims":
		return examineAs(ctx, obj, d.claim)
	case "horizontalpodautoscalers.autoscaling":
		return d.autoscaler(ctx, obj.GetName())
	case "nodes":
		return examineAs(ctx, obj, d.node)
	}
	d.conditions(ctx, obj)
	return nil
}

// examineAs converts the object to the Go type that do takes.
func examineAs[T any](ctx context.Context, obj *unstructured.Unstructured, do func(context.Context, *T)) error {
	typed := new(T)
	if err := into(obj, typed); err != nil {
		return err
	}
	do(ctx, typed)
	return nil
}

// deletion says what holds up an object that is to go.
func (d *diagnosis) deletion(obj *unstructured.Unstructured) {
	at := obj.GetDeletionTimestamp()
	if at == nil || obj.GetKind() == "Pod" {
		return
	}
	f := Finding{Severity: warning, What: fmt.Sprintf("%s is being deleted since %s", d.object, age(at.Time, d.now))}
	if list := obj.GetFinalizers(); len(list) > 0 {
		f.Evidence = []string{"finalizers that hold it: " + some(list, 5)}
		f.Next = "it goes when whoever owns the finalizers has removed them"
	}
	d.findings = append(d.findings, f)
}

// conditions tells of any other type what its own conditions say.
func (d *diagnosis) conditions(ctx context.Context, obj *unstructured.Unstructured) {
	d.eventsOf(ctx, obj)
	list := maps(obj.Object, "status", "conditions")
	for _, c := range list {
		name, _ := c["type"].(string)
		status, _ := c["status"].(string)
		if !badCondition(name, status) {
			continue
		}
		why, _ := c["reason"].(string)
		message, _ := c["message"].(string)
		d.findings = append(d.findings, Finding{
			Severity: warning, What: strings.TrimSuffix(fmt.Sprintf("condition %s is %s: %s", name, status, why), ": "), Evidence: lines(abridge(message, 400)),
		})
	}
	d.state = "judged by " + plural(len(list), "condition") + " of its status"
	if len(list) == 0 {
		d.verdict, d.state = "not judged", "its status has no conditions; only its events were looked at"
	}
}

// badCondition follows the convention that a condition is good when true,
// except for those that name a trouble.
func badCondition(name, status string) bool {
	for _, trouble := range []string{"Fail", "Error", "Stalled", "Degraded", "Pressure", "Unavailable", "Remaining", "Deletion", "Conflict", "Violation"} {
		if strings.Contains(name, trouble) {
			return status == "True"
		}
	}
	return status == "False"
}

// aside adds a finding that one of several gatherers made.
func (d *diagnosis) aside(findings ...Finding) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.asides = append(d.asides, findings...)
}

// find adds a finding. Gatherers at work at once use aside.
func (d *diagnosis) find(severity, what, next string, evidence ...string) {
	d.findings = append(d.findings, Finding{Severity: severity, What: what, Evidence: evidence, Next: next})
}

// eventsOf gathers the events of one object, not of others that had its name.
func (d *diagnosis) eventsOf(ctx context.Context, o metav1.Object) {
	d.eventsWhere(ctx, fields.Set{"involvedObject.uid": string(o.GetUID())})
}

func (d *diagnosis) eventsWhere(ctx context.Context, selector fields.Set) {
	ns := cmp.Or(d.ns, metav1.NamespaceDefault) // where events of cluster-wide objects are kept
	gather(ctx, &d.gathering, "events", d.c.typed.CoreV1().Events(ns).List, metav1.ListOptions{FieldSelector: selector.String()}, func(e *corev1.Event) {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.events.tally.add(e)
	})
}

// maxDiagnosisEvents is how many events are shown beside those quoted.
const maxDiagnosisEvents = 6

func (d *diagnosis) answer() DiagnoseOut {
	slices.SortFunc(d.asides, func(a, b Finding) int { return cmp.Compare(a.What, b.What) })
	d.findings = append(d.findings, d.asides...)
	worstFirst(d.findings)
	word := map[string]string{critical: "broken", warning: "impaired", info: "healthy"}[worst(d.findings)]
	well := word == "healthy"
	if well {
		word = cmp.Or(d.verdict, word)
	}
	out := DiagnoseOut{
		Object: d.object, Verdict: word, Findings: d.findings, Changed: d.changed, Chain: d.chain, Pods: d.pods, Logs: d.logs,
		LookedAt: d.lookedAt(), NotLookedAt: d.notLookedAt(),
	}
	if d.state != "" {
		out.Verdict += ": " + d.state
	}
	if well {
		out.Changed = nil
	}
	out.Events = d.events.warnings(maxDiagnosisEvents)
	return out
}

// objectName names an object in an answer: "Deployment shop/web".
func objectName(kind, namespace, name string) string {
	return kind + " " + strings.TrimPrefix(namespace+"/"+name, "/")
}

// lines is evidence of one text, none when it is empty.
func lines(text string) []string {
	if text = strings.TrimSpace(text); text == "" {
		return nil
	}
	return []string{text}
}
