package helm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/rest"
)

// rehearsedAtOnce is how many objects are tried at the same time.
const rehearsedAtOnce = 8

// rehearsing hands Helm clients that cannot write: every request that would is
// sent as a dry run. They also know the types whose CRDs a chart brings along.
type rehearsing struct {
	*getter
	types meta.RESTMapper // of the chart's CRDs; nil if it has none
}

// ToRESTConfig returns a configuration for dry runs.
func (r *rehearsing) ToRESTConfig() (*rest.Config, error) {
	config, err := r.getter.ToRESTConfig()
	if err == nil {
		config.Transport = dryRun{config.Transport}
	}
	return config, err
}

// ToRESTMapper maps kinds to resources.
func (r *rehearsing) ToRESTMapper() (meta.RESTMapper, error) {
	served, err := r.getter.ToRESTMapper()
	if err != nil || r.types == nil {
		return served, err
	}
	return meta.FirstHitRESTMapper{MultiRESTMapper: meta.MultiRESTMapper{served, r.types}}, nil
}

// dryRun lets reads pass and turns writes into dry runs.
type dryRun struct{ next http.RoundTripper }

func (d dryRun) RoundTrip(r *http.Request) (*http.Response, error) {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		return d.next.RoundTrip(r)
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil, fmt.Errorf("a plan sends no %s", r.Method)
	}
	r = r.Clone(r.Context())
	q := r.URL.Query()
	q.Set("dryRun", metav1.DryRunAll)
	r.URL.RawQuery = q.Encode()
	if r.Method == http.MethodDelete { // whose options the API server takes from the body, where there is one
		const options = `{"kind":"DeleteOptions","apiVersion":"v1","dryRun":["All"]}`
		if r.Body != nil {
			_ = r.Body.Close()
		}
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(options)), int64(len(options))
		r.Header.Set("Content-Type", "application/json")
	}
	return d.next.RoundTrip(r)
}

// rehearsalOf is a configuration with which nothing can be written.
func (b *Backend) rehearsalOf(ctx context.Context, namespace string, types meta.RESTMapper, records *journal) (*action.Configuration, error) {
	g, err := b.getter(ctx, namespace)
	if err != nil {
		return nil, err
	}
	cfg, err := b.actions(&rehearsing{g, types}, namespace)
	if err != nil {
		return nil, err
	}
	cfg.Releases = records.store(nil)
	return cfg, nil
}

// deed is what a write does to one object.
type deed string

const (
	creating  deed = "create"
	changing  deed = "change"
	deleting  deed = "delete"
	keeping   deed = "keep"      // of what goes from the release, by its resource policy
	restoring deed = "restore"   // its manifest stays, but the object is not as it says
	leaving   deed = "unchanged" // or gone already
)

// trial is one object of a write, tried as a dry run.
type trial struct {
	deed
	info    *resource.Info
	home    string                     // namespace of the release
	live    *unstructured.Unstructured // nil if it is not there
	known   bool                       // the present revision says of it what the new one does
	blind   bool                       // it could not be tried: its type or its namespace is not there yet
	foreign string                     // whose object it is, which stands in the way
	refused error                      // by the API server
}

// String names the object.
func (s *trial) String() string { return nameOf(s.info, s.home) }

// nameOf names an object of a release in namespace home.
func nameOf(info *resource.Info, home string) string {
	text := kindOf(info) + "/" + info.Name
	if info.Namespace != "" && info.Namespace != home {
		text += " in namespace " + info.Namespace
	}
	return text
}

// rehearse tries on the API server, without consequences, what would make the
// objects of one manifest those of another.
func (b *Backend) rehearse(ctx context.Context, cfg *action.Configuration, of Release, before, after string) ([]*trial, error) {
	c := cfg.KubeClient.(*kube.Client)
	current, err := objectsOf(c, before)
	if types := unservedIn(err); types != "" {
		return nil, mcpkit.Wrap(mcpkit.Invalid, err, "cannot go on: the present revision states types that the cluster does not serve any more (%s), and Helm gives up on those. Have a person bring their CRDs back", types)
	}
	if err != nil {
		return nil, translate(err, "read the objects of the present revision")
	}
	target, err := objectsOf(c, after)
	if err != nil {
		return nil, translate(err, "read the objects of the new revision")
	}
	var steps []*trial
	var tries []func(context.Context) error
	for _, info := range target {
		s := &trial{info: info, home: of.Namespace}
		steps = append(steps, s)
		tries = append(tries, func(context.Context) error { return s.put(c, of, current.Get(info)) })
	}
	for _, info := range current.Difference(target) {
		s := &trial{info: info, home: of.Namespace}
		steps = append(steps, s)
		tries = append(tries, func(context.Context) error { return s.remove(c) })
	}
	return steps, mcpkit.Together(ctx, rehearsedAtOnce, tries...)
}

// tryHooks tries to create the objects of the hooks that run, and says all that
// is refused.
func (w *write) tryHooks(cfg *action.Configuration) error {
	c := cfg.KubeClient.(*kube.Client)
	var steps []*trial
	for _, h := range w.after.Hooks {
		if !slices.ContainsFunc(h.Events, func(e release.HookEvent) bool { return strings.HasSuffix(string(e), w.op.event()) }) {
			continue
		}
		objects, err := objectsOf(c, h.Manifest)
		if err != nil {
			return w.notRendered(err)
		}
		for _, info := range objects {
			s := &trial{info: info, home: w.Namespace, deed: creating}
			if _, err := c.Create(kube.ResourceList{info}); !apierrors.IsAlreadyExists(err) { // else it is deleted first
				s.settle(err)
			}
			steps = append(steps, s)
		}
	}
	return obstacles(w.what(), steps)
}

// objectsOf reads the objects of a manifest; none from an empty one.
func objectsOf(c kube.Interface, manifest string) (kube.ResourceList, error) {
	if strings.TrimSpace(manifest) == "" {
		return nil, nil
	}
	return c.Build(bytes.NewBufferString(manifest), false)
}

// look reads the object as it is now.
func (s *trial) look() error {
	live, err := resource.NewHelper(s.info.Client, s.info.Mapping).Get(s.info.Namespace, s.info.Name)
	switch {
	case apierrors.IsNotFound(err):
		return nil
	case apierrors.IsForbidden(err):
		s.refused = err
		return nil
	case err != nil:
		return translate(err, "get "+s.String())
	}
	s.live, _ = live.(*unstructured.Unstructured)
	return nil
}

// put tries to create or change the object, from what the present revision
// says of it, if anything.
func (s *trial) put(c *kube.Client, of Release, was *resource.Info) error {
	if err := s.look(); err != nil || s.refused != nil {
		return err
	}
	var original kube.ResourceList
	switch {
	case s.live == nil:
		s.deed = creating
	case was != nil:
		original, s.deed = kube.ResourceList{was}, changing
	default:
		if s.foreign = stranger(s.live, of); s.foreign != "" {
			return nil
		}
		original, s.deed = kube.ResourceList{s.info}, changing
	}
	s.known = was != nil && reflect.DeepEqual(was.Object, s.info.Object)
	_, err := c.Update(original, kube.ResourceList{s.info}, false)
	s.settle(restored(err))
	if s.refused == nil && s.deed == changing && s.known {
		s.deed = leaving
		if after, ok := s.info.Object.(*unstructured.Unstructured); ok && !unmoved(s.live, after) {
			s.deed = restoring
		}
	}
	return nil
}

// remove tries to delete the object.
func (s *trial) remove(c *kube.Client) error {
	if err := s.look(); err != nil || s.refused != nil {
		return err
	}
	switch {
	case s.live == nil:
		s.deed = leaving
		return nil
	case s.live.GetAnnotations()[kube.ResourcePolicyAnno] == kube.KeepPolicy:
		s.deed = keeping
		return nil
	}
	s.deed = deleting
	_, wrong := c.Delete(kube.ResourceList{s.info})
	s.settle(errors.Join(wrong...))
	return nil
}

// settle takes what the API server said of a dry run.
func (s *trial) settle(err error) {
	switch {
	case err == nil:
	case apierrors.IsNotFound(err) && s.deed == creating, meta.IsNoMatchError(err):
		s.blind = true
	default:
		s.refused = err
	}
}

// unmoved reports whether an object would stay as it is, but for what the API
// server counts.
func unmoved(a, b *unstructured.Unstructured) bool {
	return reflect.DeepEqual(essence(a), essence(b))
}

func essence(o *unstructured.Unstructured) map[string]any {
	o = o.DeepCopy()
	o.SetManagedFields(nil)
	o.SetResourceVersion("")
	o.SetGeneration(0)
	delete(o.Object, "status")
	return o.Object
}
