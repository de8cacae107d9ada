package helm

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"
	"sigs.k8s.io/yaml"
)

var getRelease = mcpkit.Tool{
	Name:        "helm_get_release",
	Title:       "What a release holds",
	Description: "What Helm keeps of a release's revision: values, manifest, hooks, notes; secrets as fingerprints. How it is doing: helm_get_status.",
	Narrow:      "ask for one thing in what, or name resource_type and resource_name",
	Rules:       []mcpkit.Rule{readReleases},
}

type GetReleaseIn struct {
	Release
	Revision     int    `json:"revision,omitempty" jsonschema:"newest if absent"`
	What         string `json:"what,omitempty" jsonschema:"summary if absent; all_values has the chart's own too"`
	ResourceType string `json:"resource_type,omitempty" jsonschema:"kind, to narrow manifest and hooks"`
	ResourceName string `json:"resource_name,omitempty" jsonschema:"object, likewise"`
}

func (GetReleaseIn) Constrain(p mcpkit.Properties) {
	p["what"].Enum = []any{"summary", "values", "all_values", "manifest", "hooks", "notes", "all"}
	p["revision"].Minimum = new(1.0)
}

type GetReleaseOut struct {
	Header
	mcpkit.Left
	Values   mcpkit.Object `json:"values,omitempty" jsonschema:"given by its users; with all_values the chart's own too"`
	Objects  *mcpkit.Table `json:"objects,omitempty"`
	Hooks    *mcpkit.Table `json:"hooks,omitempty"`
	Manifest string        `json:"manifest,omitempty" jsonschema:"YAML; Secrets as fingerprints"`
	Notes    string        `json:"notes,omitempty"`
}

// notesLines is how much of the notes a summary holds.
const notesLines = 6

func (b *Backend) getRelease(ctx context.Context, in GetReleaseIn) (GetReleaseOut, error) {
	f, err := b.find(ctx, in.Release, in.Revision)
	if err != nil {
		return GetReleaseOut{}, err
	}
	a := releaseAnswer{f: f, in: in, out: GetReleaseOut{Header: b.header(f)}}
	var unreadable []string
	a.objects, a.hooks, unreadable = f.everything()
	for _, bad := range unreadable {
		a.out.Findings = append(a.out.Findings, "manifest not readable: "+bad)
	}
	a.hide = f.hider(ctx, slices.Concat(a.objects, a.hooks))
	switch {
	case in.What != "":
	case in.ResourceType != "" || in.ResourceName != "":
		a.in.What = "manifest"
	default:
		a.in.What = "summary"
	}
	if !a.wants("summary", "all") {
		a.out.Header = a.out.brief()
	}
	err = a.fill(ctx)
	return a.out, err
}

// releaseAnswer is an answer in the making.
type releaseAnswer struct {
	f              *found
	in             GetReleaseIn
	out            GetReleaseOut
	objects, hooks []manifestObject
	hide           *hider
}

func (a *releaseAnswer) wants(what ...string) bool { return slices.Contains(what, a.in.What) }

func (a *releaseAnswer) fill(ctx context.Context) error {
	if a.wants("summary", "values", "all") {
		a.out.Values = a.f.Config
	}
	if a.wants("all_values") {
		all, err := chartutil.CoalesceValues(a.f.Chart, a.f.Config)
		if err != nil {
			return mcpkit.Errorf(mcpkit.Conflict, "the values of %s do not fit its chart: %w", a.f.at, err)
		}
		a.out.Values = mcpkit.Object(all)
	}
	if a.wants("summary") {
		a.out.Objects = tableOf(a.objects, a.f.at.namespace)
	}
	if len(a.f.Hooks) > 0 && a.wants("summary", "hooks", "all") {
		a.out.Hooks = hooksTable(a.f.Hooks)
	}
	var shown []manifestObject
	if a.wants("manifest", "all") {
		shown = append(shown, a.objects...)
	}
	if a.wants("hooks", "all") {
		shown = append(shown, a.hooks...)
	}
	if err := a.manifest(ctx, shown); err != nil {
		return err
	}
	if notes := strings.TrimSpace(a.f.Info.Notes); a.wants("summary", "notes", "all") {
		a.notes(notes)
	}
	return nil
}

// manifest writes objects as YAML, each with its secrets redacted.
func (a *releaseAnswer) manifest(ctx context.Context, objects []manifestObject) error {
	narrowed := slices.DeleteFunc(slices.Clone(objects), func(o manifestObject) bool { return !o.is(a.in.ResourceType, a.in.ResourceName) })
	if len(narrowed) == 0 && len(objects) > 0 {
		var names []string
		for _, o := range objects {
			names = append(names, o.String())
		}
		return mcpkit.Errorf(mcpkit.NotFound, "%s has no such object; it has %s", a.f.at, first(names, 20))
	}
	var text strings.Builder
	for _, o := range narrowed {
		raw, err := yaml.Marshal(mcpkit.Redact(ctx, o.Object))
		if err != nil {
			return fmt.Errorf("write %s: %w", o, err)
		}
		text.WriteString("---\n" + string(raw))
	}
	a.out.Manifest = a.hide.text(text.String())
	return nil
}

// is reports whether o is of a kind and has a name; empty ones are any.
func (o manifestObject) is(kind, name string) bool {
	return (kind == "" || strings.EqualFold(kind, o.GetKind()) || strings.EqualFold(kind, o.GetKind()+"s")) && (name == "" || name == o.GetName())
}

func (a *releaseAnswer) notes(notes string) {
	lines := strings.Split(notes, "\n")
	if a.wants("summary") && len(lines) > notesLines {
		a.out.Truncated = true
		a.out.LeftOut = fmt.Sprintf("%d more lines of notes: what=notes", len(lines)-notesLines)
		lines = lines[:notesLines]
	}
	a.out.Notes = a.hide.text(strings.Join(lines, "\n"))
}

func tableOf(objects []manifestObject, namespace string) *mcpkit.Table {
	t := &mcpkit.Table{Columns: []string{"kind", "name"}}
	elsewhere := slices.ContainsFunc(objects, func(o manifestObject) bool { return o.namespace != namespace })
	if elsewhere {
		t.Columns = append(t.Columns, "namespace")
	}
	for _, o := range objects {
		row := []string{o.GetKind(), o.GetName()}
		if elsewhere {
			row = append(row, o.GetNamespace())
		}
		t.Rows = append(t.Rows, row)
	}
	return t
}

func hooksTable(hooks []*release.Hook) *mcpkit.Table {
	t := &mcpkit.Table{Columns: []string{"hook", "events", "weight", "last_run", "phase"}}
	for _, h := range hooks {
		var events []string
		for _, e := range h.Events {
			events = append(events, string(e))
		}
		t.Rows = append(t.Rows, []string{h.Kind + "/" + h.Name, strings.Join(events, ","), strconv.Itoa(h.Weight), stamp(h.LastRun.StartedAt.Time), string(h.LastRun.Phase)})
	}
	return t
}
