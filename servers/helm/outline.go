package helm

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
	chartloader "helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	"sigs.k8s.io/yaml"
)

// outline is what two renderings of a release have in common: its objects and
// hooks, with a free place wherever the two differ. Charts draw random
// passwords and certificates, so what is applied cannot always be, to the byte,
// what was planned. It must fit the outline: an approval binds every field
// that the chart renders alike each time, and leaves open those that it does
// not, which the plan names.
type outline struct {
	parts   []any // by their order in the rendering, hooks last
	objects int   // parts that are no hooks
	loose   []string
}

// free is the value of a field that no two renderings agree on.
type free struct{}

// MarshalJSON gives free places one form, whatever stood there.
func (free) MarshalJSON() ([]byte, error) { return []byte(`{"toolcrib.dev/free":true}`), nil }

// newOutline compares two renderings.
func newOutline(a, b *release.Release) (*outline, error) {
	x, err := parts(a)
	if err != nil {
		return nil, err
	}
	y, err := parts(b)
	if err != nil {
		return nil, err
	}
	if len(x) != len(y) {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "the chart renders another number of objects each time (%d, then %d), so no plan of it can be approved; it must be changed", len(x), len(y))
	}
	t := &outline{}
	for i := range x {
		t.parts = append(t.parts, t.common(titleOf(x[i]), "", x[i], y[i]))
	}
	t.objects = len(x) - len(a.Hooks)
	slices.Sort(t.loose)
	return t, nil
}

// common is a where it equals b, and free elsewhere.
func (t *outline) common(object, path string, a, b any) any {
	switch x := a.(type) {
	case map[string]any:
		y, ok := b.(map[string]any)
		if !ok {
			break
		}
		out := map[string]any{}
		for k := range x {
			out[k] = t.common(object, path+"."+k, x[k], y[k])
		}
		for k := range y {
			if _, both := x[k]; !both {
				out[k] = t.common(object, path+"."+k, nil, y[k])
			}
		}
		return out
	case []any:
		y, ok := b.([]any)
		if !ok || len(x) != len(y) {
			break
		}
		out := make([]any, len(x))
		for i := range x {
			out[i] = t.common(object, fmt.Sprintf("%s[%d]", path, i), x[i], y[i])
		}
		return out
	default:
		if reflect.DeepEqual(a, b) {
			return a
		}
	}
	t.loose = append(t.loose, object+" "+path[min(1, len(path)):])
	return free{}
}

// fits reports whether a rendering fits the outline.
func (t *outline) fits(r *release.Release) bool {
	got, err := parts(r)
	return err == nil && fits(t.parts, got)
}

func fits(want, got any) bool {
	switch w := want.(type) {
	case free:
		return true
	case map[string]any:
		g, ok := got.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range w {
			if !fits(v, g[k]) {
				return false
			}
		}
		for k := range g {
			if _, known := w[k]; !known {
				return false
			}
		}
		return true
	case []any:
		g, ok := got.([]any)
		return ok && slices.EqualFunc(w, g, fits)
	}
	return reflect.DeepEqual(want, got)
}

// anew is shown of a field that no two renderings agree on.
const anew = "(new each time)"

// release is r as far as the outline binds it.
func (t *outline) release(r *release.Release) *release.Release {
	if len(t.loose) == 0 {
		return r
	}
	out := *r
	var documents []string
	out.Hooks = nil
	for i, part := range t.parts {
		raw, err := json.Marshal(shownFree(part))
		if err != nil { // what came as JSON encodes as JSON
			return r
		}
		if i < t.objects {
			documents = append(documents, string(raw))
			continue
		}
		hook := *r.Hooks[i-t.objects]
		hook.Manifest = string(raw)
		out.Hooks = append(out.Hooks, &hook)
	}
	out.Manifest = strings.Join(documents, "\n---\n")
	return &out
}

// shownFree is a part with its free places filled in for a reader.
func shownFree(v any) any {
	switch x := v.(type) {
	case free:
		return anew
	case map[string]any:
		out := map[string]any{}
		for k := range x {
			out[k] = shownFree(x[k])
		}
		return out
	case []any:
		out := make([]any, len(x))
		for i := range x {
			out[i] = shownFree(x[i])
		}
		return out
	}
	return v
}

// digest names the outline.
func (t *outline) digest() string {
	raw, err := json.Marshal(t.parts)
	if err != nil { // what came as JSON encodes as JSON
		return err.Error()
	}
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// parts are the objects of a release's manifest and of its hooks.
func parts(r *release.Release) ([]any, error) {
	documents := releaseutil.SplitManifests(r.Manifest)
	keys := slices.Collect(maps.Keys(documents))
	sort.Sort(releaseutil.BySplitManifestsOrder(keys))
	var out []any
	for _, key := range keys {
		if err := appendPart(&out, documents[key]); err != nil {
			return nil, err
		}
	}
	for _, h := range r.Hooks {
		if err := appendPart(&out, h.Manifest); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func appendPart(to *[]any, document string) error {
	var o map[string]any
	if err := yaml.Unmarshal([]byte(document), &o); err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "the chart renders something that is not YAML: %w", err)
	}
	if len(o) > 0 {
		*to = append(*to, o)
	}
	return nil
}

// titleOf is how a plan calls a rendered object.
func titleOf(o any) string {
	m, _ := o.(map[string]any)
	metadata, _ := m["metadata"].(map[string]any)
	return fmt.Sprintf("%v/%v", m["kind"], metadata["name"])
}

// clock finds the function by which a template takes the time.
var clock = regexp.MustCompile(`\{\{[^}]*\bnow\b[^}]*\}\}`)

// renderTwice renders a release and what every rendering of it has in common.
// A chart that writes the time into its objects renders alike within a second,
// so the second rendering waits for the next.
func renderTwice(ctx context.Context, c *chart.Chart, render func() (*release.Release, error)) (*release.Release, *outline, error) {
	first, err := render()
	if err != nil {
		return nil, nil, err
	}
	if tellsTime(c) {
		next := time.NewTimer(1100 * time.Millisecond)
		defer next.Stop()
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
	second, err := render()
	if err != nil {
		return nil, nil, err
	}
	t, err := newOutline(first, second)
	return first, t, err
}

func tellsTime(c *chart.Chart) bool {
	for _, f := range c.Raw {
		if clock.Match(f.Data) {
			return true
		}
	}
	return false
}

// fresh is a copy of a chart for one rendering: Helm writes into what it is
// given.
func fresh(c *chart.Chart) (*chart.Chart, error) {
	var files []*chartloader.BufferedFile
	for _, f := range c.Raw {
		files = append(files, &chartloader.BufferedFile{Name: f.Name, Data: f.Data})
	}
	return chartloader.LoadFiles(files)
}
