package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
)

var diffRelease = mcpkit.Tool{
	Name:        "helm_diff_release",
	Title:       "What changed, or would",
	Description: "Compares two revisions of a release, or what is deployed with a proposed upgrade when chart or values are given: chart, values, objects field by field. Against the live objects: helm_check_drift.",
	Narrow:      "name resource_type",
	Rules:       []mcpkit.Rule{readReleases},
}

type DiffReleaseIn struct {
	Release
	From         int           `json:"from,omitempty" jsonschema:"revision; the last good one before to if absent"`
	To           int           `json:"to,omitempty" jsonschema:"revision; the newest if absent"`
	Chart        string        `json:"chart,omitempty" jsonschema:"proposed, REPOSITORY/CHART; the release's own if only values are given"`
	Version      string        `json:"version,omitempty" jsonschema:"of chart; newest stable if absent"`
	Values       mcpkit.Object `json:"values,omitempty" jsonschema:"proposed, over those set before; null takes one away"`
	ResourceType string        `json:"resource_type,omitempty" jsonschema:"kind, to compare no other"`
}

func (DiffReleaseIn) Constrain(p mcpkit.Properties) {
	p["from"].Minimum, p["to"].Minimum = new(1.0), new(1.0)
}

type DiffReleaseOut struct {
	From       string   `json:"from"`
	To         string   `json:"to"`
	Findings   []string `json:"findings,omitempty" jsonschema:"what to know besides"`
	Chart      string   `json:"chart,omitempty" jsonschema:"if it differs"`
	AppVersion string   `json:"app_version,omitempty" jsonschema:"if it differs"`
	Values     []string `json:"values,omitempty" jsonschema:"those given by users, where they differ"`
	Objects    string   `json:"objects" jsonschema:"how many differ"`
	mcpkit.Left
	Diff  string `json:"diff,omitempty"`
	Hooks string `json:"hooks,omitempty" jsonschema:"the same of hooks"`
}

func (b *Backend) diffRelease(ctx context.Context, in DiffReleaseIn) (DiffReleaseOut, error) {
	proposed := in.Chart != "" || in.Version != "" || in.Values != nil
	switch {
	case proposed && (in.From != 0 || in.To != 0):
		return DiffReleaseOut{}, mcpkit.Errorf(mcpkit.Invalid, "from and to compare revisions, chart and values propose an upgrade of what is deployed; ask for one of the two")
	case in.Version != "" && in.Chart == "":
		return DiffReleaseOut{}, mcpkit.Errorf(mcpkit.Invalid, "version without chart: a release does not say where its chart came from. Give chart as REPOSITORY/CHART; helm_search_charts finds it")
	}
	d := diffing{b: b, in: in}
	var err error
	if proposed {
		err = d.propose(ctx)
	} else {
		err = d.revisions(ctx)
	}
	if err != nil {
		return DiffReleaseOut{}, err
	}
	d.compare(ctx)
	return d.out, nil
}

// diffing is a comparison in the making.
type diffing struct {
	b        *Backend
	in       DiffReleaseIn
	from, to side
	out      DiffReleaseOut
}

// side is what is compared: a revision, or one that could be.
type side struct {
	*found
	hooks string // manifests
}

func sideOf(f *found) side {
	var hooks strings.Builder
	for _, h := range f.Hooks {
		hooks.WriteString("---\n" + h.Manifest + "\n")
	}
	return side{f, hooks.String()}
}

// title names a revision for people.
func (f *found) title() string {
	m := f.Chart.Metadata
	return fmt.Sprintf("revision %d, %s-%s, %s since %s", f.at.revision, m.Name, m.Version, f.at.status, stamp(f.Info.LastDeployed.Time))
}

// revisions reads the two revisions to compare.
func (d *diffing) revisions(ctx context.Context) error {
	records, err := d.b.revisions(ctx, d.in.Release)
	if err != nil {
		return err
	}
	to, err := pick(records, d.in.To)
	if err != nil {
		return err
	}
	before := d.in.From
	if before == 0 {
		if before = wellBefore(records[slices.IndexFunc(records, func(r record) bool { return r.revision == to.revision }):]); before == 0 {
			return mcpkit.Errorf(mcpkit.NotFound, "there is no good revision before %s to compare it with; name from, or ask helm_get_release for what it holds", to)
		}
	}
	from, err := pick(records, before)
	if err != nil {
		return err
	}
	was, err := d.b.read(ctx, from)
	if err != nil {
		return err
	}
	is, err := d.b.read(ctx, to)
	if err != nil {
		return err
	}
	d.from, d.to = sideOf(&found{was, from, records}), sideOf(&found{is, to, records})
	d.out.From, d.out.To = d.from.title(), d.to.title()
	return nil
}

// propose renders what an upgrade would make of what is deployed.
func (d *diffing) propose(ctx context.Context) error {
	f, err := d.b.applied(ctx, d.in.Release)
	if err != nil {
		return err
	}
	d.from = sideOf(f)
	d.out.From = f.title()
	c, err := d.chart(ctx)
	if err != nil {
		return err
	}
	values := chartutil.CoalesceTables(chartValues(d.in.Values), chartValues(f.Config))
	if asking := lookups(c); len(asking) > 0 {
		d.out.Findings = append(d.out.Findings, "lookup was answered with nothing, so an upgrade may differ: "+listed(asking))
	}
	d.out.Findings = append(d.out.Findings, unknownValues(c, chartValues(d.in.Values))...)
	capabilities, _, err := d.b.capabilities(ctx, "", nil)
	if err != nil {
		return err
	}
	next := *f.revision
	next.Chart, next.Config = c, chartValues(values)
	all, _, err := d.b.render(ctx, c, rendering{d.in.Name, d.in.Namespace, values, capabilities, f.records[0].revision + 1})
	if err != nil {
		return err
	}
	var manifest, hooks strings.Builder
	for _, r := range all {
		into := &manifest
		if r.hook != "" {
			into = &hooks
		}
		into.WriteString("---\n" + r.Content + "\n")
	}
	next.Manifest = manifest.String()
	d.to = side{&found{&next, f.at, f.records}, hooks.String()}
	d.out.To = fmt.Sprintf("proposed: %s-%s, rendered without writing anything", c.Metadata.Name, c.Metadata.Version)
	return nil
}

// chart is the proposed chart, or the one the release holds.
func (d *diffing) chart(ctx context.Context) (*chart.Chart, error) {
	if d.in.Chart != "" {
		c, err := d.b.loadChart(ctx, ChartRef{Chart: d.in.Chart, Version: d.in.Version})
		if err != nil {
			return nil, err
		}
		d.out.Findings = append(d.out.Findings, "chart: "+c.from)
		return c.Chart, nil
	}
	if len(d.from.Chart.Metadata.Dependencies) > 0 {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "chart %s has subcharts, which a release does not keep: name chart as REPOSITORY/CHART, and version %s", d.from.Chart.Metadata.Name, d.from.Chart.Metadata.Version)
	}
	again, err := d.b.read(ctx, d.from.at) // rendering changes a chart
	if err != nil {
		return nil, err
	}
	return again.Chart, nil
}

// compare fills the answer.
func (d *diffing) compare(ctx context.Context) {
	was, is := d.from.Chart.Metadata, d.to.Chart.Metadata
	d.out.Chart = moved(was.Name+"-"+was.Version, is.Name+"-"+is.Version)
	d.out.AppVersion = moved(was.AppVersion, is.AppVersion)
	d.out.Values = mcpkit.Difference(mcpkit.SideOf(ctx, d.from.Config), mcpkit.SideOf(ctx, d.to.Config))
	hide := new(hider)
	for _, s := range []side{d.from, d.to} {
		objects, hooks, _ := s.everything()
		hide.learnRelease(ctx, &s.Release, slices.Concat(objects, hooks))
	}
	d.out.Values = hide.lines(d.out.Values)
	objects := diffKind(ctx, d.in.Namespace, d.from.Manifest, d.to.Manifest, d.in.ResourceType)
	hooks := diffKind(ctx, d.in.Namespace, d.from.hooks, d.to.hooks, d.in.ResourceType)
	d.out.Objects = objects.summary()
	text, left := objects.text()
	more, hidden := hooks.text()
	d.out.Diff, d.out.Hooks = hide.text(text), hide.text(more)
	if left += hidden; left > 0 {
		d.out.Truncated = true
		d.out.LeftOut = fmt.Sprintf("%d lines of large objects; name resource_type, or read both with helm_get_release", left)
	}
	if objects.empty() && hooks.empty() && len(d.out.Values) == 0 && d.out.Chart == "" {
		d.out.Findings = append(d.out.Findings, "nothing differs")
	}
}

func moved(from, to string) string {
	if from == to {
		return ""
	}
	return from + " -> " + to
}
