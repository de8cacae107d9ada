package helm

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/duration"
	"k8s.io/apimachinery/pkg/util/validation"
)

// record is one revision of a release as the labels of its Secret tell it,
// without what is in the Secret.
type record struct {
	release, namespace, secret string
	revision                   int
	status                     release.Status
	modified                   time.Time
	labels                     map[string]string
}

func (r record) String() string {
	return fmt.Sprintf("revision %d of release %q in namespace %q", r.revision, r.release, r.namespace)
}

// pageSize bounds what of a list of Secrets is in memory at once.
const pageSize = 500

// eachRecord calls f with the records of a namespace, of all if it is empty,
// that a label selector picks. Records whose labels are not Helm's are left to
// odd.
func (b *Backend) eachRecord(ctx context.Context, namespace, selector string, f func(record), odd func(secret string)) error {
	c, err := b.open()
	if err != nil {
		return err
	}
	secrets := c.heads.Resource(corev1.SchemeGroupVersion.WithResource("secrets")).Namespace(namespace)
	options := metav1.ListOptions{LabelSelector: selector, Limit: pageSize}
	for {
		page, err := secrets.List(ctx, options)
		if err != nil {
			return translate(err, "list the Secrets in which Helm keeps releases"+inWords(namespace))
		}
		for i := range page.Items {
			if r, ok := recordOf(&page.Items[i]); ok {
				f(r)
			} else {
				odd(page.Items[i].Namespace + "/" + page.Items[i].Name)
			}
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return nil
		}
	}
}

func inWords(namespace string) string {
	if namespace == "" {
		return " in all namespaces"
	}
	return fmt.Sprintf(" in namespace %q", namespace)
}

// recordOf reads Helm's labels. The moments in them are Unix seconds.
func recordOf(o *metav1.PartialObjectMetadata) (record, bool) {
	r := record{release: o.Labels["name"], namespace: o.Namespace, secret: o.Name, status: release.Status(o.Labels["status"]), labels: o.Labels}
	var err error
	r.revision, err = strconv.Atoi(o.Labels["version"])
	r.modified = o.CreationTimestamp.Time
	for _, label := range []string{"modifiedAt", "createdAt"} {
		if at, err := strconv.ParseInt(o.Labels[label], 10, 64); err == nil {
			r.modified = time.Unix(at, 0)
			break
		}
	}
	return r, err == nil && r.revision > 0 && r.release != ""
}

// revisions are the records of one release, newest first. A release without
// any is an error of kind NotFound that names the nearest.
func (b *Backend) revisions(ctx context.Context, r Release) ([]record, error) {
	mcpkit.SetTarget(ctx, r.String())
	if r.Namespace == "" {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "namespace is empty; name the release's")
	}
	var out []record
	if len(validation.IsValidLabelValue(r.Name)) == 0 && r.Name != "" {
		keep := func(found record) { out = append(out, found) }
		if err := b.eachRecord(ctx, r.Namespace, "owner=helm,name="+r.Name, keep, func(string) {}); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, b.noRelease(ctx, r)
	}
	slices.SortFunc(out, func(x, y record) int { return cmp.Compare(y.revision, x.revision) })
	return out, nil
}

// noRelease says that a release is not there, and where one of its name is.
func (b *Backend) noRelease(ctx context.Context, r Release) error {
	here, elsewhere := map[string]bool{}, map[string]bool{}
	ignore := func(string) {}
	err := b.eachRecord(ctx, r.Namespace, "owner=helm", func(found record) { here[found.release] = true }, ignore)
	if err != nil {
		return err
	}
	text := fmt.Sprintf("there is no %s", r)
	if near := mcpkit.Nearest(r.Name, slices.Sorted(maps.Keys(here))); len(near) > 0 {
		text += "; the nearest names are " + strings.Join(near, ", ")
	}
	if len(validation.IsValidLabelValue(r.Name)) == 0 && r.Name != "" {
		// All namespaces may be more than is granted: then nothing is added.
		_ = b.eachRecord(ctx, "", "owner=helm,name="+r.Name, func(found record) { elsewhere[found.namespace] = true }, ignore)
	}
	if len(elsewhere) > 0 {
		text += fmt.Sprintf("; namespace %s has a release of that name", first(slices.Sorted(maps.Keys(elsewhere)), 5))
	}
	return mcpkit.Errorf(mcpkit.NotFound, "%s. helm_list_releases shows what is there", text)
}

// pick is the record of a revision, the newest if it is 0.
func pick(records []record, revision int) (record, error) {
	if revision == 0 {
		return records[0], nil
	}
	i := slices.IndexFunc(records, func(r record) bool { return r.revision == revision })
	if i >= 0 {
		return records[i], nil
	}
	var kept []string
	for _, r := range records {
		kept = append(kept, strconv.Itoa(r.revision))
	}
	return record{}, mcpkit.Errorf(mcpkit.NotFound, "release %q in namespace %q has no revision %d; Helm keeps %s", records[0].release, records[0].namespace, revision, first(kept, 12))
}

// good reports whether a revision was once installed whole, so that one can go
// back to it.
func (r record) good() bool {
	return r.status == release.StatusDeployed || r.status == release.StatusSuperseded
}

// wellBefore is the newest good revision before that of records[0], 0 if there
// is none.
func wellBefore(records []record) int {
	for _, r := range records[1:] {
		if r.good() {
			return r.revision
		}
	}
	return 0
}

// freshPending is for how long an operation may be taken to be still running:
// helm's own timeout if none is given.
const freshPending = 5 * time.Minute

// trouble says what is wrong with a release whose newest record is r, as far as
// the record tells; nothing when all is well. Helm's own words are added by who
// has read them.
func (r record) trouble(now time.Time, before int) string {
	since := fmt.Sprintf("since %s (%s)", stamp(r.modified), duration.HumanDuration(now.Sub(r.modified)))
	running := now.Sub(r.modified) < freshPending
	switch {
	case r.status == release.StatusFailed && before > 0:
		return fmt.Sprintf("failed %s at revision %d; the last good revision is %d (helm_rollback)", since, r.revision, before)
	case r.status == release.StatusFailed:
		return fmt.Sprintf("failed %s at revision %d; no earlier revision was good (helm_uninstall, or helm_upgrade with what was wrong put right)", since, r.revision)
	case r.status.IsPending() && running:
		return fmt.Sprintf("%s %s: an operation may still be running", r.status, since)
	case r.status == release.StatusPendingInstall:
		return fmt.Sprintf("stuck in %s %s: a crash or a cancelled client. helm_uninstall, then install anew", r.status, since)
	case r.status.IsPending():
		return fmt.Sprintf("stuck in %s %s: a crash or a cancelled client. Helm refuses every upgrade until %s", r.status, since, backTo(before))
	case r.status == release.StatusUninstalling && !running:
		return fmt.Sprintf("stuck in %s %s: an uninstall that did not end. helm_uninstall again", r.status, since)
	}
	return ""
}

func backTo(revision int) string {
	if revision == 0 {
		return "helm_rollback, but there is no good revision to go back to: helm_uninstall, then install anew"
	}
	return fmt.Sprintf("helm_rollback to revision %d, the last good one", revision)
}

// stamp writes a moment, nothing for none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if stem, ok := strings.CutSuffix(what, "y"); ok {
		return fmt.Sprintf("%d %sies", n, stem)
	}
	return fmt.Sprintf("%d %ss", n, what)
}
