package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

var top = mcpkit.Tool{
	Name:        "k8s_top",
	Title:       "CPU and memory in use",
	Description: "CPU and memory that nodes, pods or containers use now, against requests and limits; names what is near a limit.",
	Narrow:      "narrow with namespace or label_selector",
	Rules: []mcpkit.Rule{
		readRule("", "nodes", "pods"),
		readRule("metrics.k8s.io", "nodes", "pods"),
	},
}

type TopIn struct {
	ResourceType  string `json:"resource_type,omitempty" jsonschema:"pods if absent"`
	ResourceName  string `json:"resource_name,omitempty" jsonschema:"one of them"`
	Namespace     string `json:"namespace,omitempty" jsonschema:"all if absent"`
	LabelSelector string `json:"label_selector,omitempty" jsonschema:"such as app=web"`
	SortBy        string `json:"sort_by,omitempty" jsonschema:"cpu if absent"`
	Limit         int    `json:"limit,omitempty" jsonschema:"most rows; 20 if absent"`
}

func (TopIn) Constrain(p mcpkit.Properties) {
	p["resource_type"].Enum = []any{"nodes", "pods", "containers"}
	p["sort_by"].Enum = []any{"cpu", "memory"}
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type TopOut struct {
	Findings []string `json:"findings" jsonschema:"the sum, what is near a limit, and what is not known"`
	mcpkit.Left
	mcpkit.Table
}

func (b *Backend) top(ctx context.Context, in TopIn) (TopOut, error) {
	if err := checkNames(in.Namespace, in.ResourceName); err != nil {
		return TopOut{}, err
	}
	if _, err := labels.Parse(in.LabelSelector); err != nil {
		return TopOut{}, Selection{LabelSelector: in.LabelSelector}.validate()
	}
	t := &topTally{b: b, in: in, limit: cmp.Or(in.Limit, 20)}
	if in.ResourceType == "nodes" {
		return t.nodes(ctx)
	}
	return t.pods(ctx)
}

// topTally is one call on its way. What it holds of each pod is a few numbers.
type topTally struct {
	b     *Backend
	in    TopIn
	limit int

	rows   []topRow // the first limit of the order
	seen   int
	sum    amounts
	tight  []tightness // the worst of those near a limit
	nTight int
	blind  int // running pods, or nodes, without metrics
	denied string
}

// amounts are CPU in thousandths of a core and memory in bytes.
type amounts struct{ cpu, memory int64 }

func (a *amounts) add(b amounts) { a.cpu, a.memory = a.cpu+b.cpu, a.memory+b.memory }

// topRow is what one node, pod or container uses of what it asked for.
type topRow struct {
	names             []string
	used, asked, most amounts // of a node: asked and most of all its pods
	room              amounts // of a node: allocatable
	state             string  // of a node
}

// add puts a row in its place among the first of the order.
func (t *topTally) add(r topRow) {
	t.seen++
	at, _ := slices.BinarySearchFunc(t.rows, r, t.compare)
	if at < t.limit {
		t.rows = slices.Insert(t.rows, at, r)
		t.rows = t.rows[:min(len(t.rows), t.limit)]
	}
}

func (t *topTally) compare(a, b topRow) int {
	byCPU, byMemory := cmp.Compare(b.used.cpu, a.used.cpu), cmp.Compare(b.used.memory, a.used.memory)
	if t.in.SortBy == "memory" {
		byCPU, byMemory = byMemory, byCPU
	}
	return cmp.Or(byCPU, byMemory, slices.Compare(a.names, b.names))
}

// nearLimit is the share of a limit, in percent, from which it is worth saying.
const nearLimit = 90

// tightMost is how many of those near a limit are named.
const tightMost = 10

// tightness is something that uses most of what it may.
type tightness struct {
	percent int64
	what    string
}

// near notes what uses most of what it may; of names that, "limit of %s".
func (t *topTally) near(who string, used, most amounts, of string) {
	for _, c := range []struct {
		what       string
		used, most int64
		text       func(int64) string
	}{{"cpu", used.cpu, most.cpu, cores}, {"memory", used.memory, most.memory, inBytes}} {
		if c.most == 0 || c.used*100 < c.most*nearLimit {
			continue
		}
		t.nTight++
		n := tightness{c.used * 100 / c.most, fmt.Sprintf("%s uses %s %s of its %s, %d%%", who, c.what, c.text(c.used), fmt.Sprintf(of, c.text(c.most)), c.used*100/c.most)}
		at, _ := slices.BinarySearchFunc(t.tight, n, func(a, b tightness) int {
			return cmp.Or(cmp.Compare(b.percent, a.percent), cmp.Compare(a.what, b.what))
		})
		if at < tightMost {
			t.tight = slices.Insert(t.tight, at, n)
			t.tight = t.tight[:min(len(t.tight), tightMost)]
		}
	}
}

// answer sets out the rows with the findings before them.
func (t *topTally) answer(what string, columns []string, cells func(topRow) []string) (TopOut, error) {
	out := TopOut{Findings: []string{fmt.Sprintf("sum of %d %s: cpu %s, memory %s", t.seen, what, cores(t.sum.cpu), inBytes(t.sum.memory))}}
	for _, n := range t.tight {
		out.Findings = append(out.Findings, n.what)
	}
	if t.nTight > len(t.tight) {
		out.Findings = append(out.Findings, fmt.Sprintf("%d more are at %d%% or more of a limit", t.nTight-len(t.tight), nearLimit))
	}
	if t.blind > 0 {
		out.Findings = append(out.Findings, fmt.Sprintf("not in this list: %d %s without metrics (just started, crashing, or their node does not report)", t.blind, t.kind()))
	}
	if t.denied != "" {
		out.Findings = append(out.Findings, t.denied)
	}
	out.Columns = columns
	for _, r := range t.rows {
		out.Rows = append(out.Rows, append(slices.Clone(r.names), cells(r)...))
	}
	if out.Truncated = t.seen > len(t.rows); out.Truncated {
		out.LeftOut = fmt.Sprintf("rows: the first %d of %d by %s; raise limit or %s", len(t.rows), t.seen, cmp.Or(t.in.SortBy, "cpu"), top.Narrow)
	}
	return out, nil
}

// kind is what metrics are missing of.
func (t *topTally) kind() string {
	if t.in.ResourceType == "nodes" {
		return "nodes"
	}
	return "running pods"
}

// notFound says that nothing of the name asked for has metrics.
func (t *topTally) notFound(ctx context.Context, kind string) error {
	ref := Ref{ResourceType: kind, ResourceName: t.in.ResourceName, Namespace: t.in.Namespace}
	if kind == "pods" && t.in.Namespace == "" {
		return mcpkit.Errorf(mcpkit.NotFound, "no pod %q with metrics in any namespace; name its namespace", t.in.ResourceName)
	}
	if _, _, err := t.b.get(ctx, ref); err != nil {
		return err
	}
	return mcpkit.Errorf(mcpkit.Unavailable, "there are no metrics of %s: it is not running, has just started, or its node does not report", named(kind, t.in.Namespace, t.in.ResourceName))
}

// partDenied lets an answer go on without a part that RBAC refuses.
func (t *topTally) partDenied(err error, part string) error {
	var known *mcpkit.Error
	if errors.As(err, &known) && known.Kind == mcpkit.Denied {
		t.denied = "not looked at: " + part + " (" + known.Text + ")"
		return nil
	}
	return err
}

// metricsPath is where the metrics of nodes or pods are served.
func (b *Backend) metricsPath(ctx context.Context, resource, namespace string) (string, error) {
	t, err := b.resolve(ctx, resource+".metrics.k8s.io")
	if isKind(err, mcpkit.NotFound) {
		_, broken, err := b.allTypes(ctx, false)
		if err != nil {
			return "", err
		}
		return "", noMetrics(slices.ContainsFunc(broken, func(g string) bool { return strings.HasPrefix(g, "metrics.k8s.io/") }))
	}
	if err != nil {
		return "", err
	}
	return t.path(namespace, ""), nil
}

// noMetrics is why usage is not known.
func noMetrics(registered bool) error {
	if registered {
		return mcpkit.Errorf(mcpkit.Unavailable, "the metrics API is registered but does not answer, so usage is not known; look at apiservices v1beta1.metrics.k8s.io and at the pods of metrics-server in kube-system")
	}
	return mcpkit.Errorf(mcpkit.Unavailable, "the cluster has no metrics API, so usage is not known; a person must install metrics-server (kubernetes-sigs/metrics-server) or another source of metrics.k8s.io. Requests and limits alone: k8s_describe_resource of a node")
}

// eachUsage gives do the metrics of every node or pod. The metrics API has no
// pages, so its answer is read as a stream, one object at a time.
func (b *Backend) eachUsage(ctx context.Context, resource, namespace, selector string, do func(usageItem)) error {
	path, err := b.metricsPath(ctx, resource, namespace)
	if err != nil {
		return err
	}
	c, err := b.open()
	if err != nil {
		return err
	}
	body, err := c.rest.Get().AbsPath(path).
		SpecificallyVersionedParams(&metav1.ListOptions{LabelSelector: selector}, metav1.ParameterCodec, metav1.Unversioned).
		SetHeader("Accept", "application/json").Stream(ctx)
	switch {
	case apierrors.IsNotFound(err), apierrors.IsServiceUnavailable(err):
		return noMetrics(true)
	case err != nil:
		return translate(err, "list the metrics of "+named(resource, namespace, ""))
	}
	defer func() { _ = body.Close() }()
	if err := eachItem(body, do); err != nil {
		return translate(err, "read the metrics of "+named(resource, namespace, ""))
	}
	return nil
}
