package helm

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	releases "helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

var template = mcpkit.Tool{
	Name:        "helm_template",
	Title:       "Render a chart",
	Description: "Renders a chart with values, without a release: its objects, values that fit no schema or change nothing, and where a template fails. For the effect on a release use helm_diff_release.",
	Narrow:      "name in show what is wanted",
}

type TemplateIn struct {
	ChartRef
	Values      mcpkit.Object `json:"values,omitempty" jsonschema:"over the chart's own"`
	Name        string        `json:"name,omitempty" jsonschema:"release; release-name if absent"`
	Namespace   string        `json:"namespace,omitempty" jsonschema:"default if absent"`
	KubeVersion string        `json:"kube_version,omitempty" jsonschema:"such as 1.36; the cluster's if absent"`
	APIVersions []string      `json:"api_versions,omitempty" jsonschema:"more that .Capabilities has, as group/version or group/version/Kind"`
	IncludeCRDs bool          `json:"include_crds,omitempty" jsonschema:"those of crds/ too"`
	Show        []string      `json:"show,omitempty" jsonschema:"manifests wanted: Kind, Kind/NAME, templates/FILE or NOTES.txt; all but notes if absent"`
}

func (TemplateIn) Constrain(p mcpkit.Properties) {
	p["show"].MaxItems, p["api_versions"].MaxItems = new(50), new(200)
}

type TemplateOut struct {
	Chart       string   `json:"chart" jsonschema:"which version came from where"`
	KubeVersion string   `json:"kube_version"`
	Findings    []string `json:"findings,omitempty" jsonschema:"what to look at before installing"`
	mcpkit.Left
	Objects   mcpkit.Table `json:"objects" jsonschema:"everything rendered, in the order of installing"`
	Notes     string       `json:"notes,omitempty"`
	Manifests string       `json:"manifests" jsonschema:"of the objects to show; Secret values as fingerprints"`
}

func (b *Backend) template(ctx context.Context, in TemplateIn) (TemplateOut, error) {
	mcpkit.SetTarget(ctx, "chart "+in.Chart)
	release, namespace := cmp.Or(in.Name, "release-name"), cmp.Or(in.Namespace, "default")
	if err := chartutil.ValidateReleaseName(release); err != nil {
		return TemplateOut{}, mcpkit.Errorf(mcpkit.Invalid, "name %q cannot be a release's: lower-case letters, digits and dashes, at most 53", short(release))
	}
	c, err := b.loadChart(ctx, in.ChartRef)
	if err != nil {
		return TemplateOut{}, err
	}
	capabilities, kube, err := b.capabilities(ctx, in.KubeVersion, in.APIVersions)
	if err != nil {
		return TemplateOut{}, err
	}
	out := TemplateOut{Chart: c.from, KubeVersion: kube, Findings: templateFindings(c.Chart, in.Values, capabilities)}
	crds := c.CRDObjects()
	all, notes, err := b.render(ctx, c.Chart, rendering{release, namespace, chartValues(in.Values), capabilities, 0})
	if err != nil {
		return TemplateOut{}, err
	}
	if in.IncludeCRDs {
		all = append(definitions(crds), all...)
	} else if len(crds) > 0 {
		out.Findings = append(out.Findings, fmt.Sprintf("not shown: what crds/ holds (%d); include_crds adds it", len(crds)))
	}
	if err := out.fill(all, notes, in.Show); err != nil {
		return TemplateOut{}, err
	}
	objects, _ := parseManifest(manifests(all), namespace)
	hide := new(hider)
	hide.learnRelease(ctx, &releases.Release{Chart: c.Chart, Config: in.Values}, objects)
	out.Manifests, out.Notes = hide.text(out.Manifests), hide.text(out.Notes)
	return out, nil
}

// manifests are all objects as one text.
func manifests(all []rendered) string {
	var text strings.Builder
	for _, r := range all {
		text.WriteString("---\n" + r.Content + "\n")
	}
	return text.String()
}

// templateFindings are what a chart and the values for it are worth saying.
func templateFindings(c *chart.Chart, values map[string]any, capabilities *chartutil.Capabilities) []string {
	var out []string
	if c.Metadata.Deprecated {
		out = append(out, "the chart is deprecated: nobody looks after it any more")
	}
	if want := c.Metadata.KubeVersion; want != "" && !chartutil.IsCompatibleRange(want, capabilities.KubeVersion.String()) {
		out = append(out, fmt.Sprintf("the chart wants Kubernetes %s, and Helm refuses to install it in %s", want, capabilities.KubeVersion.Version))
	}
	out = append(out, unknownValues(c, values)...)
	if asking := lookups(c); len(asking) > 0 {
		out = append(out, "lookup was answered with nothing, so an install may differ: "+listed(asking))
	}
	return out
}

// definitions are the files of crds/, which are not templates.
func definitions(crds []chart.CRD) []rendered {
	var out []rendered
	for _, crd := range crds {
		files := map[string]string{crd.Filename: string(crd.File.Data)}
		if _, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder); err == nil {
			for _, m := range manifests {
				out = append(out, rendered{m, ""})
			}
		}
	}
	return out
}

// fill puts the index of all objects and the manifests of those to show into
// the answer.
func (o *TemplateOut) fill(all []rendered, notes string, show []string) error {
	o.Objects = mcpkit.Table{Columns: []string{"kind", "name", "template", "hook"}}
	seen, asked := map[string]bool{}, map[string]bool{}
	var text strings.Builder
	for _, r := range all {
		id := identify(r)
		o.Objects.Rows = append(o.Objects.Rows, []string{id.Kind, id.name(), r.Name, r.hook})
		key := strings.Join([]string{id.APIVersion, id.Kind, id.name()}, " ")
		if seen[key] && r.hook == "" {
			o.Findings = append(o.Findings, fmt.Sprintf("%s %q is rendered twice; Helm would refuse it", id.Kind, id.name()))
		}
		seen[key] = true
		wanted := len(show) == 0
		for _, s := range show {
			if shows(s, id, r.Name) {
				wanted, asked[s] = true, true
			}
		}
		if wanted {
			fmt.Fprintf(&text, "---\n# Source: %s\n%s\n", r.Name, strings.TrimSpace(r.Content))
		}
	}
	o.Objects, o.Manifests = *dense(o.Objects), text.String()
	for _, s := range show {
		switch {
		case strings.HasSuffix(s, "NOTES.txt"):
			o.Notes = cmp.Or(notes, "(none)")
		case !asked[s]:
			return o.noSuch(s)
		}
	}
	return nil
}

// noSuch says that nothing of that name was rendered, and what was.
func (o *TemplateOut) noSuch(wanted string) error {
	var names []string
	for _, row := range o.Objects.Rows {
		for _, name := range []string{row[0], row[0] + "/" + row[1], row[2]} {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	near := mcpkit.Nearest(wanted, names)
	if len(near) == 0 {
		near = names[:min(20, len(names))]
	}
	return mcpkit.Errorf(mcpkit.NotFound, "nothing rendered is %q; there is %s", short(wanted), strings.Join(near, ", "))
}

// identity is the part of an object that names it.
type identity struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Metadata   struct {
		Name      string `json:"name"`
		Namespace string `json:"namespace"`
	} `json:"metadata"`
}

// name has the namespace in front where the object says one.
func (id identity) name() string {
	return strings.TrimPrefix(id.Metadata.Namespace+"/"+id.Metadata.Name, "/")
}

func identify(r rendered) (id identity) {
	_ = yaml.Unmarshal([]byte(r.Content), &id) // it has been parsed before; an odd name stays empty
	return id
}

// shows reports whether wanted names an object: by kind, kind and name, or
// the file of its template.
func shows(wanted string, id identity, file string) bool {
	kind, name, named := strings.Cut(wanted, "/")
	if strings.EqualFold(kind, id.Kind) && (!named || name == id.Metadata.Name) {
		return true
	}
	return wanted == file || strings.HasSuffix(file, "/"+wanted)
}
