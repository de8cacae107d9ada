package kubernetes

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/client-go/rest"
	"k8s.io/kubectl/pkg/describe"
)

var describeResource = mcpkit.Tool{
	Name:        "k8s_describe_resource",
	Title:       "Describe a Kubernetes object",
	Description: "Describes one object as kubectl describe does, events included. For why something is broken use k8s_diagnose, which looks further.",
	Narrow:      "read single fields with k8s_get_resource_yaml and fields",
	Rules:       readable,
}

type DescribeResourceIn struct{ Ref }

type DescribeResourceOut struct {
	mcpkit.Left
	NotLookedAt []string `json:"not_looked_at,omitempty"`
	Description string   `json:"description"`
	Events      string   `json:"events,omitempty"`
}

func (b *Backend) describeResource(ctx context.Context, in DescribeResourceIn) (DescribeResourceOut, error) {
	obj, t, err := b.get(ctx, in.Ref)
	if err != nil {
		return DescribeResourceOut{}, err
	}
	c, err := b.open()
	if err != nil {
		return DescribeResourceOut{}, err
	}
	config := c.Bound(ctx)
	refusals := &refusals{next: config.Transport}
	config.Transport = refusals
	describer, ok := describerFor(t, config)
	if !ok {
		return DescribeResourceOut{}, mcpkit.Errorf(mcpkit.Invalid, "%s cannot be described; use k8s_get_resource_yaml", t)
	}
	text, err := describer.Describe(obj.GetNamespace(), obj.GetName(), describe.DescriberSettings{ShowEvents: true, ChunkSize: pageSize})
	if ctx.Err() != nil { // a describer shows what it could not read as missing
		err = ctx.Err()
	}
	if err != nil {
		return DescribeResourceOut{}, translate(err, "describe "+named(t.String(), obj.GetNamespace(), obj.GetName()))
	}
	out := DescribeResourceOut{Description: text, NotLookedAt: refusals.said()}
	if t.Resource != "configmaps" { // its data is shown as it is
		out.Description = squeezed(text)
	}
	// Apart, since they come last and an answer that is too long is cut there.
	if at := strings.LastIndex(out.Description, "\nEvents:"); at >= 0 {
		out.Description, out.Events = out.Description[:at], strings.TrimSpace(out.Description[at+len("\nEvents:"):])
	}
	return out, nil
}

func describerFor(t resourceType, config *rest.Config) (describe.ResourceDescriber, bool) {
	if d, ok := describe.DescriberFor(t.GroupVersion().WithKind(t.Kind).GroupKind(), config); ok {
		return d, true
	}
	return describe.GenericDescriberFor(t.mapping(), config)
}

var (
	padding   = regexp.MustCompile(`(\S) {3,}`)
	underline = regexp.MustCompile(`(?m)^[ -]*--[ -]*\n`)
)

// squeezed takes out the alignment that kubectl makes for the eye.
func squeezed(text string) string {
	return underline.ReplaceAllString(padding.ReplaceAllString(text, "$1  "), "")
}

// refusals remembers what a describer was not allowed to read. Describers take
// that for nothing being there.
type refusals struct {
	next  http.RoundTripper
	mu    sync.Mutex
	paths []string
}

func (f *refusals) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := f.next.RoundTrip(r)
	if err == nil && resp.StatusCode == http.StatusForbidden {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.paths = append(f.paths, r.URL.Path)
	}
	return resp, err
}

func (f *refusals) said() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.Sort(f.paths)
	var out []string
	for _, p := range slices.Compact(f.paths) {
		out = append(out, p+": denied")
	}
	return out
}
