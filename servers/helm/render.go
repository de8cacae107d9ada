package helm

import (
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/locks"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/releaseutil"
)

const (
	renderedBytes = 16 << 20
	rendersAtOnce = 2 // a template cannot be stopped, only left alone
)

// rendered is one object that a chart's templates made.
type rendered struct {
	releaseutil.Manifest
	hook string // events it is a hook of; empty for the others
}

// rendering is what is needed to render a chart as a new release, or as a
// further revision of one.
type rendering struct {
	release, namespace string
	values             map[string]any
	capabilities       *chartutil.Capabilities
	revision           int // of an upgrade; 0 for an install
}

// render renders a chart without asking any cluster: lookup finds nothing. It
// returns the objects in the order Helm would install them, hooks last, and
// the notes. The chart must not be used again: Helm prunes its subcharts.
func (b *Backend) render(ctx context.Context, c *chart.Chart, r rendering) ([]rendered, string, error) {
	if c.Metadata.Type == "library" {
		return nil, "", mcpkit.Errorf(mcpkit.Invalid, "chart %s is a library: it holds parts for other charts and makes no objects", c.Name())
	}
	if err := action.CheckDependencies(c, c.Metadata.Dependencies); err != nil {
		return nil, "", mcpkit.Errorf(mcpkit.Invalid, "chart %s lacks subcharts (%w); it must be packaged with them, for they are fetched from nowhere else", c.Name(), err)
	}
	if err := chartutil.ProcessDependenciesWithMerge(c, r.values); err != nil {
		return nil, "", mcpkit.Errorf(mcpkit.Invalid, "the values do not fit the subcharts of %s: %w", c.Name(), err)
	}
	if err := checkValues(c, r.values); err != nil {
		return nil, "", err
	}
	options := chartutil.ReleaseOptions{Name: r.release, Namespace: r.namespace, Revision: max(1, r.revision), IsInstall: r.revision == 0, IsUpgrade: r.revision > 0}
	values, err := chartutil.ToRenderValuesWithSchemaValidation(c, r.values, options, r.capabilities, true)
	if err != nil {
		return nil, "", mcpkit.Errorf(mcpkit.Invalid, "the values do not fit chart %s: %w", c.Name(), err)
	}
	files, err := b.execute(ctx, c, values)
	if err != nil {
		return nil, "", renderFailed(err)
	}
	return sortRendered(c, files)
}

// execute runs the templates. Since nothing can stop them, a call that ends
// leaves them to their own end, and few may run at once.
func (b *Backend) execute(ctx context.Context, c *chart.Chart, values chartutil.Values) (map[string]string, error) {
	if err := take(ctx, b.rendering); err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the templates of earlier calls still run; try again in a minute")
	}
	type result struct {
		files map[string]string
		err   error
	}
	done := make(chan result, 1)
	go func() {
		defer func() { <-b.rendering }()
		files, err := engine.Engine{}.Render(c, values) // which turns a panic of a template into an error
		done <- result{files, err}
	}()
	select {
	case r := <-done:
		return r.files, r.err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// sortRendered takes the rendered files apart into objects.
func sortRendered(c *chart.Chart, files map[string]string) (out []rendered, notes string, err error) {
	total := 0
	for name, text := range files {
		total += len(text)
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
		if name == path.Join(c.Name(), "templates", "NOTES.txt") {
			notes = strings.TrimSpace(text)
		}
	}
	if total > renderedBytes {
		return nil, "", mcpkit.Errorf(mcpkit.TooLarge, "the templates of chart %s write more than %d MiB with these values", c.Name(), renderedBytes>>20)
	}
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, "", renderFailed(err)
	}
	for _, m := range manifests {
		out = append(out, rendered{m, ""})
	}
	for _, h := range hooks {
		var events []string
		for _, e := range h.Events {
			events = append(events, string(e))
		}
		head := &releaseutil.SimpleHead{Kind: h.Kind}
		out = append(out, rendered{releaseutil.Manifest{Name: h.Path, Content: h.Manifest, Head: head}, strings.Join(events, ",")})
	}
	return out, notes, nil
}

var (
	// position is where the template engine says it is.
	position = regexp.MustCompile(`([\w./-]+\.(?:ya?ml|tpl|txt|json)):(\d+)`)
	// absent is what Go says when it cannot go down a path of values.
	absent = regexp.MustCompile(`at <([^>]*)>: nil pointer evaluating .*\.(\w+)$`)
	// missing is what Go says of a value that is not there for a function.
	called = regexp.MustCompile(`error calling (\w+): ([^:]+(?:: [^:]+)*)$`)
)

// renderFailed says where a template failed and why, in few words: the engine
// tells the whole way it took.
func renderFailed(err error) error {
	if _, known := errors.AsType[*mcpkit.Error](err); known || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	text := strings.TrimSpace(err.Error())
	reason := text
	if where := position.FindAllStringSubmatchIndex(text, -1); len(where) > 0 {
		last, first := where[len(where)-1], where[0]
		at := fmt.Sprintf("%s line %s", text[last[2]:last[3]], text[last[4]:last[5]])
		if caller := fmt.Sprintf("%s line %s", text[first[2]:first[3]], text[first[4]:first[5]]); caller != at {
			at += ", called from " + caller
		}
		return &mcpkit.Error{Kind: mcpkit.Invalid, Text: "template " + at + ": " + reasonOf(text[last[1]:]), Err: err}
	}
	reason = strings.Replace(reason, "YAML parse error on ", "what is rendered from ", 1)
	reason = strings.Replace(reason, ": error converting YAML to JSON: yaml: ", " is no YAML in its ", 1)
	return &mcpkit.Error{Kind: mcpkit.Invalid, Text: reason, Err: err}
}

// reasonOf shortens what the engine says after a position.
func reasonOf(text string) string {
	if m := absent.FindStringSubmatch(text); m != nil {
		return fmt.Sprintf("%s cannot be read: what stands before .%s is not set", m[1], m[2])
	}
	if m := called.FindStringSubmatch(text); m != nil {
		return m[1] + ": " + m[2]
	}
	text = strings.TrimLeft(text, ":0123456789) ")
	if _, after, found := strings.Cut(text, ">: "); found {
		text = after
	}
	return short(text)
}

// lookups are the templates that ask a cluster, which a rendering does not.
func lookups(c *chart.Chart) []string {
	var out []string
	for _, f := range c.Templates {
		if asksCluster.Match(f.Data) {
			out = append(out, c.ChartFullPath()+"/"+f.Name)
		}
	}
	for _, sub := range c.Dependencies() {
		out = append(out, lookups(sub)...)
	}
	slices.Sort(out)
	return out
}

var asksCluster = regexp.MustCompile(`\{\{[^}]*[\s(]lookup\s`)

// versionTimeout bounds how long the cluster may take to say what it serves.
const versionTimeout = 10 * time.Second

// capabilities are those of the cluster, or of the Kubernetes version stated,
// which are then known without a cluster.
func (b *Backend) capabilities(ctx context.Context, stated string, apiVersions []string) (*chartutil.Capabilities, string, error) {
	out := chartutil.DefaultCapabilities.Copy()
	out.APIVersions = slices.Clone(out.APIVersions)
	from := "as stated; the cluster was not asked"
	if stated == "" {
		var err error
		if out, err = b.ofCluster(ctx); err != nil {
			return nil, "", err
		}
		from = "of the cluster"
	} else {
		v, err := chartutil.ParseKubeVersion(stated)
		if err != nil {
			return nil, "", mcpkit.Errorf(mcpkit.Invalid, "kube_version %q is none; write one such as 1.36 or v1.36.4", short(stated))
		}
		out.KubeVersion = *v
	}
	out.APIVersions = append(out.APIVersions, apiVersions...)
	return out, out.KubeVersion.Version + ", " + from, nil
}

// ofCluster asks the cluster what it is. The discovery client knows no
// context, so that a call that ends leaves it to its own end.
func (b *Backend) ofCluster(ctx context.Context) (*chartutil.Capabilities, error) {
	c, err := b.open()
	if err != nil {
		return nil, withoutCluster(err)
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	types, err := c.types(ctx)
	if err != nil {
		return nil, err
	}
	done := make(chan error, 1)
	out := chartutil.DefaultCapabilities.Copy()
	go func() {
		v, err := types.discovery.ServerVersion()
		if err == nil {
			out.KubeVersion = chartutil.KubeVersion{Version: v.GitVersion, Major: v.Major, Minor: v.Minor}
			out.APIVersions, err = action.GetVersionSet(types.discovery)
		}
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		return out, nil
	}
	return nil, withoutCluster(translate(locks.Told(ctx, c.typed.Discovery().RESTClient(), err), "ask the cluster for its version"))
}

// withoutCluster adds to err that a rendering needs no cluster.
func withoutCluster(err error) error {
	known, ok := errors.AsType[*mcpkit.Error](err)
	if !ok {
		return err
	}
	return &mcpkit.Error{Kind: known.Kind, Text: known.Text + ". State kube_version, such as 1.36, to render without the cluster", Err: err}
}
