package helm

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
)

var showChart = mcpkit.Tool{
	Name:        "helm_show_chart",
	Title:       "Show a chart",
	Description: "What a chart is, its versions, dependencies and files; with what, its default values with their comments, or its readme. For what it renders use helm_template.",
	Narrow:      "name one part",
}

// What can be shown of a chart.
const (
	whatMetadata = "metadata"
	whatValues   = "values"
	whatReadme   = "readme"
)

type ShowChartIn struct {
	ChartRef
	What string `json:"what,omitempty" jsonschema:"metadata if absent"`
	Part string `json:"part,omitempty" jsonschema:"only this path of the values, such as service.port, or this heading of the readme"`
}

func (ShowChartIn) Constrain(p mcpkit.Properties) {
	p["what"].Enum = []any{whatMetadata, whatValues, whatReadme}
}

type ShowChartOut struct {
	Chart    string     `json:"chart" jsonschema:"which version came from where"`
	Findings []string   `json:"findings,omitempty" jsonschema:"what to look at before using it"`
	Metadata *ChartInfo `json:"metadata,omitempty"`
	mcpkit.Left
	Versions     *mcpkit.Table `json:"versions,omitempty" jsonschema:"newest first"`
	Dependencies *mcpkit.Table `json:"dependencies,omitempty"`
	Parts        *mcpkit.Table `json:"parts,omitempty" jsonschema:"what can be asked for with part"`
	Values       string        `json:"values,omitempty" jsonschema:"YAML"`
	Readme       string        `json:"readme,omitempty" jsonschema:"Markdown"`
}

// ChartInfo is what a chart says of itself.
type ChartInfo struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	AppVersion  string `json:"app_version,omitempty"`
	Description string `json:"description,omitempty"`
	Type        string `json:"type,omitempty"`
	KubeVersion string `json:"kube_version,omitempty" jsonschema:"range of Kubernetes versions it can be installed in"`
	Home        string `json:"home,omitempty"`
	Sources     string `json:"sources,omitempty"`
	Keywords    string `json:"keywords,omitempty"`
	Maintainers string `json:"maintainers,omitempty"`
	Archive     string `json:"archive" jsonschema:"its size and SHA-256"`
	Holds       string `json:"holds" jsonschema:"templates, CRDs, schema and readme"`
}

// shownVersions is how many versions of a chart are listed.
const shownVersions = 15

func (b *Backend) showChart(ctx context.Context, in ShowChartIn) (ShowChartOut, error) {
	mcpkit.SetTarget(ctx, "chart "+in.Chart)
	c, err := b.loadChart(ctx, in.ChartRef)
	if err != nil {
		return ShowChartOut{}, err
	}
	out := ShowChartOut{Chart: c.from}
	switch in.What {
	case whatValues:
		return out, out.showValues(c.Chart, in.Part)
	case whatReadme:
		return out, out.showReadme(c.Chart, in.Part)
	}
	if in.Part != "" {
		return ShowChartOut{}, mcpkit.Errorf(mcpkit.Invalid, "part goes with what=values or what=readme")
	}
	out.Findings = chartFindings(c.Chart, c.versions)
	out.Metadata = chartInfo(c)
	if len(c.versions) > 0 {
		out.Versions = versionTable(c.versions)
		if n := len(c.versions); n > shownVersions {
			out.Truncated, out.LeftOut = true, fmt.Sprintf("versions: %d of %d rows shown; helm_search_charts takes a range", shownVersions, n)
		}
	}
	out.Dependencies = dependencyTable(c.Chart)
	return out, nil
}

func chartInfo(c *loaded) *ChartInfo {
	m := c.Metadata
	var people []string
	for _, who := range m.Maintainers {
		if who != nil {
			people = append(people, strings.TrimSpace(who.Name+" "+bracketed(who.Email)))
		}
	}
	holds := []string{fmt.Sprintf("templates (%d)", len(c.Templates))}
	if n := len(c.CRDObjects()); n > 0 {
		holds = append(holds, fmt.Sprintf("CRDs (%d files)", n))
	}
	if len(c.Schema) > 0 {
		holds = append(holds, "a schema of its values")
	}
	if readme(c.Chart) != "" {
		holds = append(holds, "a readme")
	}
	return &ChartInfo{
		Name: m.Name, Version: m.Version, AppVersion: m.AppVersion, Description: m.Description, Type: m.Type,
		KubeVersion: m.KubeVersion, Home: m.Home,
		Sources:     strings.Join(m.Sources, " "),
		Keywords:    strings.Join(m.Keywords, ", "),
		Maintainers: strings.Join(people, ", "),
		Archive:     fmt.Sprintf("%s, sha256:%s", size(len(c.archive)), c.digest),
		Holds:       strings.Join(holds, ", "),
	}
}

func bracketed(s string) string {
	if s == "" {
		return ""
	}
	return "<" + s + ">"
}

// chartFindings are what a chart's metadata are worth saying.
func chartFindings(c *chart.Chart, all []version) []string {
	var out []string
	if c.Metadata.Deprecated {
		out = append(out, "the chart is deprecated: nobody looks after it any more")
	}
	if newest, err := choose("", all, ""); len(all) > 0 && err == nil && newest.version != c.Metadata.Version {
		out = append(out, "the newest stable version is "+newest.version)
	}
	held := map[string]bool{}
	for _, sub := range c.Dependencies() {
		held[sub.Name()] = true
	}
	for _, d := range c.Metadata.Dependencies {
		if !held[d.Name] {
			out = append(out, fmt.Sprintf("subchart %q is not in the archive, so the chart can be neither rendered nor installed", d.Name))
		}
	}
	return out
}

func versionTable(all []version) *mcpkit.Table {
	t := mcpkit.Table{Columns: []string{"version", "app_version", "created", "deprecated"}}
	for _, v := range all[:min(shownVersions, len(all))] {
		t.Rows = append(t.Rows, []string{v.version, v.app, day(v), mark(v.deprecated, "deprecated")})
	}
	return dense(t)
}

// dense is t without the columns that say nothing in any row.
func dense(t mcpkit.Table) *mcpkit.Table {
	if len(t.Rows) == 0 {
		return &t
	}
	out := &mcpkit.Table{Rows: make([][]string, len(t.Rows))}
	for c, name := range t.Columns {
		if !slices.ContainsFunc(t.Rows, func(row []string) bool { return row[c] != "" }) {
			continue
		}
		out.Columns = append(out.Columns, name)
		for i, row := range t.Rows {
			out.Rows[i] = append(out.Rows[i], row[c])
		}
	}
	return out
}

func day(v version) string {
	if v.created.IsZero() {
		return ""
	}
	return v.created.UTC().Format("2006-01-02")
}

func mark(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func dependencyTable(c *chart.Chart) *mcpkit.Table {
	if len(c.Metadata.Dependencies) == 0 {
		return nil
	}
	held := map[string]string{}
	for _, sub := range c.Dependencies() {
		held[sub.Name()] = sub.Metadata.Version
	}
	t := mcpkit.Table{Columns: []string{"name", "wanted", "in_archive", "repository", "condition", "alias"}}
	for _, d := range c.Metadata.Dependencies {
		t.Rows = append(t.Rows, []string{d.Name, d.Version, held[d.Name], d.Repository, d.Condition, d.Alias})
	}
	return dense(t)
}

// longText is how many lines a text has whose parts are worth listing.
const longText = 60

// readme is the chart's readme, empty if it has none.
func readme(c *chart.Chart) string {
	i := slices.IndexFunc(c.Files, func(f *chart.File) bool {
		return slices.Contains([]string{"readme.md", "readme.txt", "readme"}, strings.ToLower(path.Clean(f.Name)))
	})
	if i < 0 {
		return ""
	}
	return string(c.Files[i].Data)
}

// showValues shows the values, or the part of them at a path.
func (o *ShowChartOut) showValues(c *chart.Chart, part string) error {
	doc, err := readValuesFile(c)
	if err != nil {
		return err
	}
	if part == "" {
		o.Values = doc.text
		if strings.Count(doc.text, "\n") < longText {
			return nil
		}
		o.Parts = &mcpkit.Table{Columns: []string{"path", "lines"}}
		for _, key := range doc.keys() {
			text, _ := doc.at([]string{key}) // it is there
			o.Parts.Rows = append(o.Parts.Rows, []string{key, fmt.Sprint(strings.Count(text, "\n"))})
		}
		return nil
	}
	text, found := doc.at(strings.Split(part, "."))
	if found {
		o.Values = text
		return nil
	}
	head, rest, _ := strings.Cut(part, ".")
	for _, sub := range c.Dependencies() { // whose values the chart itself need not repeat
		if sub.Name() == head {
			return o.showValues(sub, rest)
		}
	}
	return noPart("value", part, doc.paths(), slices.Sorted(maps.Keys(c.Values)))
}

// showReadme shows the readme, or the part of it under a heading.
func (o *ShowChartOut) showReadme(c *chart.Chart, part string) error {
	text := readme(c)
	if text == "" {
		return mcpkit.Errorf(mcpkit.NotFound, "chart %s has no readme; what=values shows its values with their comments", c.Name())
	}
	all := sections(text)
	if part == "" {
		o.Readme = text
		if strings.Count(text, "\n") < longText {
			return nil
		}
		o.Parts = &mcpkit.Table{Columns: []string{"heading", "lines"}}
		for _, s := range all {
			o.Parts.Rows = append(o.Parts.Rows, []string{strings.Repeat("  ", max(0, s.level-1)) + s.heading, fmt.Sprint(s.end - s.start)})
		}
		return nil
	}
	var headings []string
	for _, s := range all {
		if headings = append(headings, s.heading); strings.EqualFold(s.heading, part) {
			o.Readme = strings.Join(strings.Split(text, "\n")[s.start:s.end], "\n")
			return nil
		}
	}
	return noPart("heading", part, headings, headings)
}

// noPart says that there is no such part, and which are like it.
func noPart(what, part string, candidates, all []string) error {
	near := mcpkit.Nearest(part, candidates)
	if len(near) == 0 {
		near = all[:min(20, len(all))]
	}
	if len(near) == 0 {
		return mcpkit.Errorf(mcpkit.NotFound, "there is no %s %q, nor any other", what, short(part))
	}
	return mcpkit.Errorf(mcpkit.NotFound, "there is no %s %q; there is %s", what, short(part), strings.Join(near, ", "))
}
