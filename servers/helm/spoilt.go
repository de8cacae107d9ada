package helm

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// historyBytes bounds what the revisions of one release may unpack to
// together: Helm holds all of them in memory for a write.
const historyBytes = 2 * releaseBytes

// recordIn holds a Secret to what Helm takes for granted of one, and returns
// how many bytes it unpacks to.
func recordIn(s *corev1.Secret) (int64, error) {
	r, _ := recordOf(&metav1.PartialObjectMetadata{ObjectMeta: s.ObjectMeta})
	p, err := r.open(s.Data["release"])
	if err != nil {
		return 0, err
	}
	var v struct {
		Info  *struct{} `json:"info"`
		Chart *struct {
			Metadata  *struct{}   `json:"metadata"`
			Templates []*struct{} `json:"templates"`
			Files     []*struct{} `json:"files"`
		} `json:"chart"`
		Hooks []*struct{} `json:"hooks"`
	}
	if err := r.decode(p, &v); err != nil {
		return 0, err
	}
	if v.Info == nil || v.Chart == nil || v.Chart.Metadata == nil || slices.Contains(slices.Concat(v.Hooks, v.Chart.Templates, v.Chart.Files), nil) {
		return 0, r.corrupt(hollow, nil)
	}
	return p.size, nil
}

// spoilt notes a revision that cannot be read.
func (r *journal) spoilt(s *corev1.Secret, err error) {
	revision, _ := strconv.Atoi(s.Labels["version"]) // 0 is older than any
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bad[revision] = err
}

// newestSpoilt refuses to go on from a release whose newest revision cannot be
// read: what is in the cluster is then not known.
func (r *journal) newestSpoilt(whole []*release.Release) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.bad) == 0 {
		return nil
	}
	newest := slices.Max(slices.Collect(maps.Keys(r.bad)))
	if len(whole) > 0 && whole[0].Version > newest {
		return nil
	}
	known, ok := r.bad[newest].(*mcpkit.Error)
	if !ok {
		return r.bad[newest]
	}
	return mcpkit.Wrap(known.Kind, known, "nothing can be written while the newest revision is unreadable, and nothing was changed: %s", known.Text)
}

// spoiltNote says which older revisions are passed over.
func (r *journal) spoiltNote() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []string
	for _, revision := range slices.Sorted(maps.Keys(r.bad)) {
		all = append(all, strconv.Itoa(revision))
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("older revisions that cannot be read are passed over, and their Secrets stay whatever is done: %s (helm_get_history says why)", strings.Join(all, ", "))
}
