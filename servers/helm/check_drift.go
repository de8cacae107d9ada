package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

var checkDrift = mcpkit.Tool{
	Name:        "helm_check_drift",
	Title:       "Release against cluster",
	Description: "Finds what was changed behind Helm's back: fields of live objects that are not as the release states them, with who wrote them and when; objects missing, and objects left over. For revision against revision use helm_diff_release.",
	Narrow:      "name resource_type",
	Rules:       slices.Concat([]mcpkit.Rule{readReleases}, readObjects),
}

type CheckDriftIn struct {
	Release
	ResourceType string `json:"resource_type,omitempty" jsonschema:"kind, to look at no other"`
}

type CheckDriftOut struct {
	Header
	Objects string `json:"objects" jsonschema:"how many are in which state"`
	mcpkit.Left
	Drift *mcpkit.Table `json:"drift,omitempty" jsonschema:"fields not as stated"`
}

func (b *Backend) checkDrift(ctx context.Context, in CheckDriftIn) (CheckDriftOut, error) {
	f, err := b.applied(ctx, in.Release)
	if err != nil {
		return CheckDriftOut{}, err
	}
	out := CheckDriftOut{Header: b.header(f).brief()}
	objects, _, unreadable := f.everything()
	for _, bad := range unreadable {
		out.Findings = append(out.Findings, "manifest not readable: "+bad)
	}
	objects = slices.DeleteFunc(objects, func(o manifestObject) bool { return !o.is(in.ResourceType, "") })
	if len(objects) == 0 && in.ResourceType != "" {
		return CheckDriftOut{}, mcpkit.Errorf(mcpkit.NotFound, "%s states no %s; helm_get_release lists its objects", f.at, in.ResourceType)
	}
	all, err := b.look(ctx, objects)
	if err != nil {
		return CheckDriftOut{}, err
	}
	d := drifting{ctx: ctx, b: b, out: &out, namespace: in.Namespace, hide: f.hider(ctx, objects)}
	if err := d.compare(all); err != nil || in.ResourceType != "" {
		return out, err
	}
	extra, findings, err := b.extras(ctx, in.Release, all)
	for _, e := range extra {
		out.Findings = append(out.Findings, "not in the manifest, but marked as of this release: "+e)
	}
	out.Findings = append(out.Findings, findings...)
	return out, err
}

// applied is the revision that the cluster should be like: the one deployed,
// else the newest.
func (b *Backend) applied(ctx context.Context, r Release) (*found, error) {
	records, err := b.revisions(ctx, r)
	if err != nil {
		return nil, err
	}
	at := records[max(0, slices.IndexFunc(records, func(r record) bool { return r.status == release.StatusDeployed }))]
	rev, err := b.read(ctx, at)
	if err != nil {
		return nil, err
	}
	return &found{rev, at, records}, nil
}

// drifting is a comparison in the making.
type drifting struct {
	ctx       context.Context
	b         *Backend
	out       *CheckDriftOut
	namespace string
	hide      *hider
	scalers   map[string]string // autoscalers by what they scale; asked for once
}

func (d *drifting) compare(all []*live) error {
	table := &mcpkit.Table{Columns: []string{"object", "field", "stated", "live", "changed_by"}}
	same, changed, missing, dark := 0, 0, 0, 0
	for _, l := range all {
		switch {
		case l.unseen != "":
			dark++
			continue
		case l.missing():
			missing++
			d.out.Findings = append(d.out.Findings, "missing: "+l.titled(d.namespace))
			continue
		}
		rows := d.rows(l)
		if len(rows) == 0 {
			same++
			continue
		}
		changed++
		table.Rows = append(table.Rows, rows...)
	}
	var parts []string
	for _, c := range []struct {
		n    int
		what string
	}{{same, "as stated"}, {changed, "changed"}, {missing, "missing"}, {dark, "not looked at"}} {
		if c.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", c.n, c.what))
		}
	}
	d.out.Objects = fmt.Sprintf("%d: %s", len(all), strings.Join(parts, ", "))
	if len(table.Rows) > 0 {
		d.out.Drift = table
		d.out.Findings = append(d.out.Findings, fmt.Sprintf("%s of %s changed behind Helm's back", plural(len(table.Rows), "field"), plural(changed, "object")))
	}
	d.out.Findings = append(d.out.Findings, unseen(all)...)
	return d.ctx.Err()
}

// rows are the fields of one object that are not as stated, redacted.
func (d *drifting) rows(l *live) [][]string {
	var rows [][]string
	stated, is := mcpkit.Redact(d.ctx, settled(l.Object)), mcpkit.Redact(d.ctx, l.is.Object)
	for _, f := range drifts(l.Object, l.is.Object) {
		field := f.String()
		if field == "spec.replicas" {
			if by := d.scaler(l); by != "" {
				d.out.Findings = append(d.out.Findings, fmt.Sprintf("%s has %s replicas, stated are %s: %s scales it, which is no drift. Leave replicas out of the chart's values", l, mcpkit.Flow(f.live), mcpkit.Flow(f.stated), by))
				continue
			}
		}
		was := cellOf(f.stated, shownAt(map[string]any(stated), f.path, false))
		now := cellOf(f.live, shownAt(map[string]any(is), f.path, true))
		was, now = parted(d.hide.text(was), d.hide.text(now))
		rows = append(rows, []string{l.titled(d.namespace), field, was, now, changedBy(l.is.GetManagedFields(), f.path)})
	}
	return rows
}

// shownAt is the redacted value at a path of either side.
func shownAt(v any, path []fieldStep, live bool) any {
	for _, s := range path {
		switch at := v.(type) {
		case map[string]any:
			v = at[s.key]
		case []any:
			i := s.inStated
			if live {
				i = s.here
			}
			if i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		default:
			return nil
		}
	}
	return v
}

// cellOf is what is shown of a value.
func cellOf(raw, shown any) string {
	switch {
	case raw == nil:
		return "(absent)"
	case shown == nil:
		return "(not shown)"
	}
	if text, ok := shown.(string); ok {
		return text
	}
	return mcpkit.Flow(shown)
}

// parted are two values on one line each, texts of several from the first line
// on which they part.
func parted(a, b string) (string, string) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	if len(x) > 1 || len(y) > 1 {
		n := 0
		for n < min(len(x), len(y))-1 && x[n] == y[n] {
			n++
		}
		a, b = fmt.Sprintf("line %d: %s", n+1, x[n]), fmt.Sprintf("line %d: %s", n+1, y[n])
	}
	return mcpkit.Cut(a), mcpkit.Cut(b)
}

// scaler names the autoscaler of an object, nothing when there is none.
func (d *drifting) scaler(l *live) string {
	if d.scalers == nil {
		d.scalers = map[string]string{}
		c, err := d.b.open()
		if err != nil {
			return ""
		}
		autoscalers := schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
		list, err := c.objects.Resource(autoscalers).Namespace(l.namespace).List(d.ctx, metav1.ListOptions{})
		if err != nil {
			d.out.Findings = append(d.out.Findings, "whether an autoscaler sets replicas is not known: horizontalpodautoscalers could not be listed")
			return ""
		}
		for _, a := range list.Items {
			kind, _, _ := unstructured.NestedString(a.Object, "spec", "scaleTargetRef", "kind")
			name, _, _ := unstructured.NestedString(a.Object, "spec", "scaleTargetRef", "name")
			d.scalers[kind+"/"+name] = "HorizontalPodAutoscaler/" + a.GetName()
		}
	}
	return d.scalers[l.String()]
}
