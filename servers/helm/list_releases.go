package helm

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/labels"
)

var listReleases = mcpkit.Tool{
	Name:        "helm_list_releases",
	Title:       "Releases",
	Description: "Lists releases at their newest revision, failed and stuck ones first with why and since when. For one release use helm_get_status.",
	Narrow:      "name a namespace or status, or lower limit",
	Rules:       []mcpkit.Rule{readReleases, {Groups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"list"}}},
}

type ListReleasesIn struct {
	Namespace     string `json:"namespace,omitempty" jsonschema:"all if absent"`
	Name          string `json:"name,omitempty" jsonschema:"part of the name"`
	Status        string `json:"status,omitempty" jsonschema:"any if absent"`
	Chart         string `json:"chart,omitempty" jsonschema:"part of name-version"`
	LabelSelector string `json:"label_selector,omitempty" jsonschema:"on the releases' own labels"`
	Sort          string `json:"sort,omitempty" jsonschema:"trouble if absent"`
	Limit         int    `json:"limit,omitempty" jsonschema:"50 if absent"`
	Continue      string `json:"continue,omitempty" jsonschema:"from the last answer"`
}

func (ListReleasesIn) Constrain(p mcpkit.Properties) {
	p["status"].Enum = []any{"deployed", "failed", "pending", "uninstalled", "uninstalling"}
	p["sort"].Enum = []any{"trouble", "name", "updated"}
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(200.0)
}

type ListReleasesOut struct {
	Summary  string   `json:"summary"`
	Findings []string `json:"findings,omitempty" jsonschema:"what is wrong, of the releases listed"`
	mcpkit.Left
	Releases mcpkit.Table `json:"releases"`

	keys []string // of the rows
}

// ResumeAt continues at row kept.
func (o ListReleasesOut) ResumeAt(kept int) string { return o.keys[kept-1] }

// lineage is what the records of one release come to.
type lineage struct {
	record     // the newest
	before int // newest good revision before it
}

// take adds one more record, in whatever order they come.
func (l *lineage) take(r record) {
	older := r
	if r.revision > l.revision {
		older, l.record = l.record, r
	}
	if older.good() {
		l.before = max(l.before, older.revision)
	}
}

// key sorts releases, and names where a page ends.
func (l *lineage) key(sort string, now time.Time) string {
	name := l.namespace + "/" + l.release
	switch sort {
	case "name":
		return name
	case "updated":
		return fmt.Sprintf("%012d/%s", max(0, 1<<39-l.modified.Unix()), name)
	}
	switch {
	case l.trouble(now, l.before) != "":
		return "0/" + name
	case l.status == release.StatusUninstalled:
		return "2/" + name
	}
	return "1/" + name
}

func (b *Backend) listReleases(ctx context.Context, in ListReleasesIn) (ListReleasesOut, error) {
	mcpkit.SetTarget(ctx, "releases"+inWords(in.Namespace))
	wanted, err := labels.Parse(in.LabelSelector)
	if err != nil {
		return ListReleasesOut{}, mcpkit.Errorf(mcpkit.Invalid, "label_selector: %w", err)
	}
	all, odd, foreign, err := b.lineages(ctx, in.Namespace)
	if err != nil {
		return ListReleasesOut{}, err
	}
	now := b.now()
	matching := slices.DeleteFunc(slices.Collect(maps.Values(all)), func(l *lineage) bool { return !in.takes(l, wanted) })
	slices.SortFunc(matching, func(x, y *lineage) int { return cmp.Compare(x.key(in.Sort, now), y.key(in.Sort, now)) })
	out := ListReleasesOut{Summary: summarize(matching, len(all), in)}
	for _, o := range odd {
		out.Findings = append(out.Findings, "Secret "+o+" says it is Helm's, but its labels name no release and revision")
	}
	out.Findings = append(out.Findings, foreign...)
	if err := b.page(ctx, &out, matching, in); err != nil {
		return ListReleasesOut{}, err
	}
	return out, nil
}

// takes reports whether a caller asked for a release, as far as its newest
// record tells.
func (in ListReleasesIn) takes(l *lineage, wanted labels.Selector) bool {
	status := string(l.status)
	if l.status.IsPending() {
		status = "pending"
	}
	return strings.Contains(l.release, in.Name) && (in.Status == "" || in.Status == status) && wanted.Matches(labels.Set(l.labels))
}

// summarize counts the releases that match by status.
func summarize(matching []*lineage, all int, in ListReleasesIn) string {
	counts, namespaces := map[string]int{}, map[string]bool{}
	for _, l := range matching {
		counts[string(l.status)]++
		namespaces[l.namespace] = true
	}
	if all == 0 {
		return "no release" + inWords(in.Namespace)
	}
	text := fmt.Sprintf("%d of %d releases match", len(matching), all)
	if len(matching) == all {
		text = plural(all, "release")
	}
	if in.Namespace != "" {
		text += inWords(in.Namespace)
	} else if len(namespaces) > 0 {
		text += " in " + plural(len(namespaces), "namespace")
	}
	var parts []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf("%d %s", counts[status], status))
	}
	if len(parts) > 0 {
		text += ": " + strings.Join(parts, ", ")
	}
	return text
}

// Bounds of how releases are read for a list.
const (
	readsAtOnce = 16
	chartReads  = 1000 // releases read to find those of a chart
)

// after are the releases behind the page before, all if there was none.
func (in ListReleasesIn) after(matching []*lineage, now time.Time) []*lineage {
	if in.Continue == "" {
		return matching
	}
	from, _ := slices.BinarySearchFunc(matching, in.Continue, func(l *lineage, last string) int {
		if l.key(in.Sort, now) <= last {
			return -1
		}
		return 1
	})
	return matching[from:]
}

// page reads the releases of one page and puts them into the answer.
func (b *Backend) page(ctx context.Context, out *ListReleasesOut, matching []*lineage, in ListReleasesIn) error {
	now := b.now()
	rest := in.after(matching, now)
	limit := cmp.Or(in.Limit, 50)
	out.Releases.Columns = []string{"namespace", "release", "revision", "updated", "status", "chart", "app_version"}
	read := 0
	for len(rest) > 0 && len(out.Releases.Rows) < limit && (read < chartReads || in.Chart == "") {
		batch := rest[:min(len(rest), limit-len(out.Releases.Rows))]
		if in.Chart != "" {
			batch = rest[:min(len(rest), 4*readsAtOnce)]
		}
		heads, err := b.readHeads(ctx, newestOf(batch))
		if err != nil {
			return err
		}
		taken := 0
		for i, h := range heads {
			if len(out.Releases.Rows) == limit {
				break
			}
			taken++
			if h.err != nil || strings.Contains(h.chart(), in.Chart) {
				out.add(batch[i], h, in.Sort, now)
			}
		}
		rest, read = rest[taken:], read+taken
	}
	if len(rest) > 0 {
		out.Truncated = true
		out.Continue = matching[len(matching)-len(rest)-1].key(in.Sort, now)
		out.LeftOut = fmt.Sprintf("%d more of %d releases; continue, or name a namespace or status", len(rest), len(matching))
	}
	if in.Namespace != "" {
		out.dropNamespace()
	}
	return nil
}

func newestOf(all []*lineage) []record {
	out := make([]record, len(all))
	for i, l := range all {
		out[i] = l.record
	}
	return out
}

// headOrError is a head, or what went wrong when it was read.
type headOrError struct {
	head
	err error
}

// readHeads reads records at once. One that cannot be read hides no other.
func (b *Backend) readHeads(ctx context.Context, all []record) ([]headOrError, error) {
	heads := make([]headOrError, len(all))
	var steps []func(context.Context) error
	for i, r := range all {
		steps = append(steps, func(ctx context.Context) error {
			heads[i].head, heads[i].err = b.readHead(ctx, r)
			return ctx.Err()
		})
	}
	return heads, mcpkit.Together(ctx, readsAtOnce, steps...)
}

// add puts one release into the answer, with what is wrong with it.
func (o *ListReleasesOut) add(l *lineage, h headOrError, sort string, now time.Time) {
	o.Releases.Rows = append(o.Releases.Rows, []string{l.namespace, l.release, strconv.Itoa(l.revision), stamp(l.modified), string(l.status), h.chart(), h.Chart.Metadata.AppVersion})
	o.keys = append(o.keys, l.key(sort, now))
	if text := l.trouble(now, l.before); text != "" {
		if said := mcpkit.Cut(oneLine(h.Info.Description)); said != "" && l.status == release.StatusFailed {
			text += ". Helm said: " + said
		}
		o.Findings = append(o.Findings, l.namespace+"/"+l.release+": "+text)
	}
	if h.err != nil {
		o.Findings = append(o.Findings, l.namespace+"/"+l.release+": "+textOf(h.err))
	}
}

// dropNamespace takes the first column away, which would be the same in every row.
func (o *ListReleasesOut) dropNamespace() {
	o.Releases.Columns = o.Releases.Columns[1:]
	for i, row := range o.Releases.Rows {
		o.Releases.Rows[i] = row[1:]
	}
}
