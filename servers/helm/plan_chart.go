package helm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/storage/driver"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

func limitOf(w Waiting) time.Duration { return time.Duration(w.Timeout) }

// chartOf names the chart of a revision.
func chartOf(r *release.Release) string {
	if r.Chart == nil || r.Chart.Metadata == nil {
		return "(unknown)"
	}
	return r.Chart.Metadata.Name + " " + r.Chart.Metadata.Version
}

func isNotFound(err error) bool {
	return apierrors.IsNotFound(err) || errors.Is(err, driver.ErrReleaseNotFound)
}

// checkNamespace sees to the namespace of a new release.
func (b *Backend) checkNamespace(ctx context.Context, w *write, create bool) error {
	c, err := b.open()
	if err != nil {
		return err
	}
	ns, err := c.typed.CoreV1().Namespaces().Get(ctx, w.Namespace, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err) && create:
		w.newSpace = true
		w.lines = append(w.lines, fmt.Sprintf("+ Namespace/%s", w.Namespace))
		w.notes = append(w.notes, "its namespace is new, so the API server was asked whether the objects may be created, not whether they are valid")
		return nil
	case apierrors.IsNotFound(err):
		return mcpkit.Errorf(mcpkit.NotFound, "there is no namespace %q; create_namespace=true creates it", w.Namespace)
	case err != nil:
		return translate(err, fmt.Sprintf("get namespace %q", w.Namespace))
	case ns.DeletionTimestamp != nil:
		return mcpkit.Errorf(mcpkit.Conflict, "namespace %q is being deleted; wait until it is gone, or use another", w.Namespace)
	}
	return nil
}

// load fetches the chart of a write.
func (b *Backend) load(ctx context.Context, w *write, ref ChartRef) error {
	c, err := b.loadChart(ctx, ref)
	if err != nil {
		return err
	}
	switch {
	case c.Metadata.Type == "library":
		return mcpkit.Errorf(mcpkit.Invalid, "chart %s is a library: it holds parts for other charts and cannot be installed", c.Name())
	case c.Metadata.Deprecated:
		w.notes = append(w.notes, "the chart is deprecated: nobody looks after it any more")
	}
	if err := action.CheckDependencies(c.Chart, c.Metadata.Dependencies); err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "chart %s lacks subcharts (%w); it must be packaged with them, for they are fetched from nowhere else", c.Name(), err)
	}
	w.chart = c
	w.seen = append(w.seen, "chart "+c.digest)
	return nil
}

// check holds values to the chart's schemas.
func (w *write) check(values map[string]any) error {
	c, err := fresh(w.chart.Chart)
	if err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "%s is no chart Helm can load: %w", w.chart.from, err)
	}
	if err := checkValues(c, chartValues(values)); err != nil {
		return err
	}
	w.notes = append(w.notes, unknownValues(c, values)...)
	return nil
}

// crds makes the types of the chart's CRDs known and says what becomes of them.
func (w *write) crds(ctx context.Context, b *Backend, skip, first bool) error {
	crds := definitionsOf(w.chart)
	if len(crds) == 0 {
		return nil
	}
	c, err := b.open()
	if err != nil {
		return err
	}
	served, err := c.types(ctx)
	if err != nil {
		return err
	}
	types := meta.NewDefaultRESTMapper(nil)
	var fresh, there []string
	for _, d := range crds {
		learn(types, d.Spec)
		_, err := served.discovery.ServerResourcesForGroupVersion(d.Spec.Group + "/" + d.Spec.Versions[0].Name)
		if err == nil {
			there = append(there, d.Name)
			continue
		}
		fresh = append(fresh, d.Name)
	}
	if first && !skip {
		w.types = types
		for _, name := range fresh {
			w.lines = append(w.lines, "+ CustomResourceDefinition/"+name)
		}
		if len(fresh) > 0 {
			w.notes = append(w.notes, "Helm installs the CRDs of the chart and never upgrades or deletes them; objects of those types could not be tried beforehand")
		}
	}
	if len(there) > 0 {
		w.notes = append(w.notes, fmt.Sprintf("CRDs that are there stay as they are, whatever this chart's version of them says: %s", strings.Join(firstLines(there, linesShown), ", ")))
	}
	if !first && len(fresh) > 0 {
		w.notes = append(w.notes, "an upgrade installs no CRDs; these of the chart are not there: "+strings.Join(firstLines(fresh, linesShown), ", "))
	}
	return nil
}

// learn adds the types of a CRD.
func learn(types *meta.DefaultRESTMapper, d apiextensions.CustomResourceDefinitionSpec) {
	scope := meta.RESTScopeNamespace
	if d.Scope == apiextensions.ClusterScoped {
		scope = meta.RESTScopeRoot
	}
	for _, v := range d.Versions {
		gv := schema.GroupVersion{Group: d.Group, Version: v.Name}
		types.AddSpecific(gv.WithKind(d.Names.Kind), gv.WithResource(d.Names.Plural), gv.WithResource(d.Names.Singular), scope)
	}
}

// definitionsOf reads the CRDs of a chart and its subcharts.
func definitionsOf(c *loaded) []apiextensions.CustomResourceDefinition {
	var out []apiextensions.CustomResourceDefinition
	for _, file := range c.CRDObjects() {
		d := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(file.File.Data), 4096)
		for {
			var crd apiextensions.CustomResourceDefinition
			if err := d.Decode(&crd); err != nil {
				break // the end; what cannot be read Helm itself refuses
			}
			if crd.Kind == "CustomResourceDefinition" && len(crd.Spec.Versions) > 0 {
				out = append(out, crd)
			}
		}
	}
	return out
}

// planChart plans what a chart renders.
func (b *Backend) planChart(ctx context.Context, w *write) (mcpkit.Plan, error) {
	var err error
	w.after, w.outline, err = renderTwice(ctx, w.chart.Chart, func() (*release.Release, error) {
		cfg, err := b.rehearsalOf(ctx, w.Namespace, w.types, w.journal)
		if err != nil {
			return nil, err
		}
		rel, err := b.renderDry(ctx, func() (*release.Release, error) { return w.act(cfg, true) })
		return rel, w.notRendered(err)
	})
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if err := b.try(ctx, w); err != nil {
		return mcpkit.Plan{}, err
	}
	if loose := w.outline.loose; len(loose) > 0 {
		w.notes = append(w.notes, "the chart renders these anew each time, so this approves whatever they turn out to be, and everything else as shown: "+strings.Join(firstLines(loose, linesShown), ", "))
	}
	if w.op == installing {
		w.notes = append(w.notes, hookNotes(w.after, release.HookPreInstall, release.HookPostInstall)...)
	} else {
		w.lines = append(w.lines, w.valuesLines(ctx)...)
		w.notes = append(w.notes, hookNotes(w.after, release.HookPreUpgrade, release.HookPostUpgrade)...)
		w.notes = append(w.notes, w.versionNotes()...)
	}
	if w.takeBack {
		w.notes = append(w.notes, "if it fails it is taken back at once, without asking again")
	}
	w.describe()
	return w.plan(ctx), nil
}

// renderDry runs a dry run of Helm's. Since nothing can stop templates, a call
// that ends leaves them to their own end, and few may run at once. They cannot
// write.
func (b *Backend) renderDry(ctx context.Context, run func() (*release.Release, error)) (*release.Release, error) {
	if err := take(ctx, b.rendering); err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the templates of earlier calls still run; try again in a minute")
	}
	type result struct {
		release *release.Release
		err     error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-b.rendering }()
		defer func() {
			if p := recover(); p != nil {
				done <- result{err: fmt.Errorf("panic: %v", p)}
			}
		}()
		rel, err := run()
		done <- result{rel, err}
	}()
	select {
	case r := <-done:
		return r.release, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// notRendered says why Helm would not render a chart, or have what it renders.
func (w *write) notRendered(err error) error {
	if err == nil {
		return nil
	}
	if _, known := errors.AsType[*mcpkit.Error](err); known {
		return err
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "chart requires kubeVersion"):
		return mcpkit.Wrap(mcpkit.Invalid, err, "cannot %s: %s. Another version of the chart may fit", w.what(), text)
	case unservedIn(err) != "":
		return mcpkit.Wrap(mcpkit.Invalid, err, "cannot %s: the cluster does not serve types that the chart makes (%s). Their CRDs must be installed first", w.what(), unservedIn(err))
	case strings.Contains(text, "error validating"), strings.Contains(text, "strict decoding"):
		return mcpkit.Wrap(mcpkit.Invalid, err, "cannot %s: the chart makes an object that does not fit its type: %s", w.what(), lastOf(text))
	case errors.As(err, new(apierrors.APIStatus)), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return translate(err, w.what())
	}
	return renderFailed(err)
}

var unserved = regexp.MustCompile(`no matches for kind "[^"]*" in version "[^"]*"`)

// unservedIn are the types that err says the cluster does not serve.
func unservedIn(err error) string {
	if err == nil {
		return ""
	}
	found := unserved.FindAllString(err.Error(), 10)
	slices.Sort(found)
	return strings.Join(slices.Compact(found), "; ")
}

// lastOf drops the way Helm took from what it says.
func lastOf(text string) string {
	text = strings.TrimPrefix(text, "unable to build kubernetes objects from release manifest: ")
	return strings.TrimPrefix(text, "unable to build kubernetes objects from new release manifest: ")
}

// versionNotes say how far the chart's version moves.
func (w *write) versionNotes() []string {
	was, err := semver.NewVersion(w.before.Chart.Metadata.Version)
	if err != nil {
		return nil
	}
	is, err := semver.NewVersion(w.after.Chart.Metadata.Version)
	if err != nil {
		return nil
	}
	switch {
	case w.before.Chart.Name() != w.after.Chart.Name():
		return []string{fmt.Sprintf("this is another chart: %s instead of %s", w.after.Chart.Name(), w.before.Chart.Name())}
	case is.Major() != was.Major():
		return []string{fmt.Sprintf("the chart's major version changes, %s to %s: by its own numbering that breaks something", was, is)}
	case is.LessThan(was):
		return []string{fmt.Sprintf("the chart goes back to an older version, %s to %s", was, is)}
	}
	return nil
}

// hookNotes say which hooks run, in their order.
func hookNotes(r *release.Release, events ...release.HookEvent) []string {
	var notes []string
	for _, e := range events {
		var hooks []*release.Hook
		for _, h := range r.Hooks {
			if slices.Contains(h.Events, e) {
				hooks = append(hooks, h)
			}
		}
		slices.SortStableFunc(hooks, func(a, b *release.Hook) int { return a.Weight - b.Weight })
		var names []string
		for _, h := range hooks {
			names = append(names, h.Kind+"/"+h.Name)
		}
		if len(names) > 0 {
			notes = append(notes, fmt.Sprintf("%s hooks run: %s", e, strings.Join(firstLines(names, linesShown), ", ")))
		}
	}
	return notes
}
