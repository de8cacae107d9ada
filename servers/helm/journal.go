package helm

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
	helmstorage "helm.sh/helm/v3/pkg/storage"
	"helm.sh/helm/v3/pkg/storage/driver"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// grace is how long the journal of a release may be put in order, and no more
// than that done, once its call has ended.
const grace = 10 * time.Second

// maxHistory is how many revisions of a release are kept, as by the helm
// program.
const maxHistory = 10

// outlive returns a context that ends a grace after ctx does.
func outlive(ctx context.Context) (context.Context, context.CancelFunc) {
	late, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(grace, cancel) })
	return late, func() { stop(); cancel() }
}

// journal are the Secrets in which Helm keeps the revisions of one namespace,
// under a context of their own: what became of a release must still be written
// down when its call was cancelled. They know the version of each Secret they
// saw. Helm writes over whatever is there; through journal that is a conflict,
// and so is, once bound, reading what the plan did not rest on.
type journal struct {
	corev1client.SecretInterface
	ctx       context.Context
	rehearsal bool // writes are dry runs
	stuck     int  // a pending revision that reads as failed

	mu    sync.Mutex
	bound bool                                   // to what was seen by now
	seen  map[string]string                      // resource versions by name
	bad   map[int]error                          // why revisions cannot be read
	hands map[string][]metav1.ManagedFieldsEntry // who wrote them
	moved bool                                   // somebody else wrote one
}

func newJournal(ctx context.Context, c *clients, namespace string) *journal {
	return &journal{SecretInterface: c.typed.CoreV1().Secrets(namespace), ctx: ctx, seen: map[string]string{}, bad: map[int]error{}, hands: map[string][]metav1.ManagedFieldsEntry{}}
}

// store is Helm's storage over r. approve, if any, has the last word on a new
// revision.
func (r *journal) store(approve func(*release.Release) error) *helmstorage.Storage {
	return helmstorage.Init(approving{driver.NewSecrets(r), approve, r.stuck})
}

// approving asks before a revision is begun.
type approving struct {
	*driver.Secrets
	approve func(*release.Release) error
	stuck   int
}

// Create implements [driver.Creator].
func (a approving) Create(key string, r *release.Release) error {
	if a.approve != nil {
		if err := a.approve(r); err != nil {
			return err
		}
	}
	return a.Secrets.Create(key, r)
}

// Query implements [driver.Queryor].
func (a approving) Query(labels map[string]string) ([]*release.Release, error) {
	all, err := a.Secrets.Query(labels)
	for _, r := range all {
		if r.Version == a.stuck && busy(r) {
			r.Info.Status = release.StatusFailed
		}
	}
	return all, err
}

// note takes or checks the version of a Secret that was read.
func (r *journal) note(s *corev1.Secret) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.bound && r.seen[s.Name] != s.ResourceVersion {
		r.moved = true
		return errMoved
	}
	r.seen[s.Name], r.hands[s.Name] = s.ResourceVersion, s.ManagedFields
	return nil
}

// wrote takes the version of a Secret that we wrote, or what kept us from it.
func (r *journal) wrote(s *corev1.Secret, err error) (*corev1.Secret, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case apierrors.IsConflict(err):
		r.moved = true
		return nil, errMoved
	case err == nil && !r.rehearsal:
		r.seen[s.Name] = s.ResourceVersion
	}
	return s, err
}

var errMoved = mcpkit.Errorf(mcpkit.Conflict, "somebody else changed the release while this was being done. Look at it with helm_get_history, then call again to have a new plan approved")

// writers are who wrote a Secret, and when.
func (r *journal) writers(name string) []metav1.ManagedFieldsEntry {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.hands[name]
}

func (r *journal) version(name string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[name]
}

// interrupted reports whether somebody else wrote what the plan rests on.
func (r *journal) interrupted() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.moved
}

func (r *journal) dryRun() []string {
	if r.rehearsal {
		return []string{metav1.DryRunAll}
	}
	return nil
}

// Create implements [corev1client.SecretInterface]. What does not fit into a
// Secret is refused before anything of the release is there.
func (r *journal) Create(_ context.Context, s *corev1.Secret, _ metav1.CreateOptions) (*corev1.Secret, error) {
	size := 0
	for _, data := range s.Data {
		size += len(data)
	}
	if size > corev1.MaxSecretSize {
		return nil, mcpkit.Errorf(mcpkit.TooLarge, "the release does not fit into a Secret, where Helm keeps it: packed it takes %d KiB of the %d KiB allowed, for the chart's files and the rendered manifest together. Nothing was created. The chart must become smaller: large files in it are the usual cause, and .helmignore keeps them out",
			size>>10, corev1.MaxSecretSize>>10)
	}
	return r.wrote(r.SecretInterface.Create(r.ctx, s, metav1.CreateOptions{FieldManager: fieldManager, DryRun: r.dryRun()}))
}

// Update implements [corev1client.SecretInterface].
func (r *journal) Update(_ context.Context, s *corev1.Secret, _ metav1.UpdateOptions) (*corev1.Secret, error) {
	s.ResourceVersion = r.version(s.Name)
	return r.wrote(r.SecretInterface.Update(r.ctx, s, metav1.UpdateOptions{FieldManager: fieldManager, DryRun: r.dryRun()}))
}

// Delete implements [corev1client.SecretInterface].
func (r *journal) Delete(_ context.Context, name string, _ metav1.DeleteOptions) error {
	o := metav1.DeleteOptions{DryRun: r.dryRun()}
	if v := r.version(name); v != "" {
		o.Preconditions = &metav1.Preconditions{ResourceVersion: &v}
	}
	_, err := r.wrote(&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: name}}, r.SecretInterface.Delete(r.ctx, name, o))
	return err
}

// Get implements [corev1client.SecretInterface].
func (r *journal) Get(_ context.Context, name string, o metav1.GetOptions) (*corev1.Secret, error) {
	s, err := r.SecretInterface.Get(r.ctx, name, o)
	if err != nil {
		return nil, err
	}
	if _, err := recordIn(s); err != nil {
		return nil, err
	}
	return s, r.note(s)
}

// List implements [corev1client.SecretInterface]. What cannot be read is kept
// from Helm, which would unpack it without bounds.
func (r *journal) List(_ context.Context, o metav1.ListOptions) (*corev1.SecretList, error) {
	list, err := r.SecretInterface.List(r.ctx, o)
	if err != nil {
		return nil, err
	}
	var total int64
	whole := list.Items[:0]
	for _, s := range list.Items {
		if err := r.note(&s); err != nil {
			return nil, err
		}
		size, err := recordIn(&s)
		if err != nil {
			r.spoilt(&s, err)
			continue
		}
		if total += size; total > historyBytes {
			return nil, mcpkit.Errorf(mcpkit.TooLarge, "the revisions of the release together unpack to more than the %d MiB this server reads for a write; a person may delete old ones", historyBytes>>20)
		}
		whole = append(whole, s)
	}
	list.Items = whole
	return list, nil
}

// versions are what was seen, as a plan states it.
func (r *journal) versions() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []string
	for name, v := range r.seen {
		out = append(out, name+" "+v)
	}
	slices.Sort(out)
	return out
}

// history reads all revisions of a release, newest first; none if there is no
// such release.
func (r *journal) history(name Release) ([]*release.Release, error) {
	all, err := r.store(nil).History(name.Name)
	if err != nil && !errors.Is(err, driver.ErrReleaseNotFound) {
		return nil, translate(err, fmt.Sprintf("read %s", name))
	}
	releaseutil.Reverse(all, releaseutil.SortByRevision)
	if err := r.newestSpoilt(all); err != nil {
		return nil, err
	}
	return all, nil
}

// bind holds r to what it saw by now.
func (r *journal) bind() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bound = true
}
