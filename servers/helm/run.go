package helm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/kube"
	"helm.sh/helm/v3/pkg/release"
	client "k8s.io/client-go/kubernetes"
)

// fieldManager is how the API server's records call us.
const fieldManager = "helm-mcp"

func init() { kube.ManagedFieldsManager = fieldManager } // Helm has no other way to be told

// Bounds of a write in time.
const (
	callLimit    = 10 * time.Minute // of a call, unless the operator says otherwise
	usualLimit   = 5 * time.Minute  // of the wait, unless the call or its caller allows less
	answerMargin = 5 * time.Second  // of the call's time, to say why something did not become ready
	undoShare    = 3                // one part in so many of the time is kept for taking back
)

// run is a write being carried out. Helm's actions run on in the background
// when their context ends, so they are given none: instead everything they do,
// be it a request or a wait, goes through clients that end with work, and they
// come back on their own. What became of the release is then written through
// records that live a little longer than the call.
type run struct {
	b       *Backend
	w       *write
	call    context.Context // the caller's
	work    context.Context // ends early enough to still answer
	limit   time.Duration
	journal *journal
	cfg     *action.Configuration
	typed   client.Interface // bound to the call, to look around once work has ended

	doing    string   // what is being done or waited for
	made     []string // what was done to objects
	evidence []string // why it failed
	trouble  error    // what went wrong first, before Helm put it in its words
}

// begin prepares to carry out w within the time left to the call.
func (b *Backend) begin(ctx context.Context, w *write) (*run, func(), error) {
	r := &run{b: b, w: w, call: ctx, limit: cmp.Or(w.limit, usualLimit), journal: w.journal}
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		r.limit = min(r.limit, max(left-max(answerMargin, left/10), 0))
	}
	if w.takeBack {
		r.limit -= r.limit / undoShare
	}
	work, cancel := context.WithTimeout(ctx, r.limit)
	late, drop := outlive(ctx)
	end := func() { cancel(); drop() }
	r.work, r.journal.ctx, r.journal.rehearsal = work, late, false
	var err error
	if r.cfg, err = b.configuration(work, w.Namespace); err != nil {
		end()
		return nil, nil, err
	}
	c, err := b.open()
	if err != nil {
		end()
		return nil, nil, err
	}
	r.typed = c.typed
	r.cfg.KubeClient = &watched{r.cfg.KubeClient.(*kube.Client), r}
	r.cfg.Releases = r.journal.store(r.approve)
	return r, end, nil
}

// approve has the last word before anything of a new revision is there.
func (r *run) approve(rel *release.Release) error {
	if r.w.outline != nil && !r.w.outline.fits(rel) {
		return mcpkit.Errorf(mcpkit.Conflict, "the chart renders something else now than in the plan, because what it looks up in the cluster changed. The release was left alone, though its namespace and CRDs may have been created; call again to have the new plan approved")
	}
	return nil
}

// do runs one of Helm's actions to its end.
func (r *run) do(act func(*action.Configuration) (*release.Release, error)) (*release.Release, error) {
	if w := r.w; w.stuck != nil {
		w.stuck.SetStatus(release.StatusFailed, "marked failed: it was "+w.stuck.Info.Status.String()+" and its operation never ended")
		if err := r.cfg.Releases.Update(w.stuck); err != nil {
			return nil, translate(err, "mark a revision of "+w.String()+" as failed")
		}
		w.stuck = nil
	}
	defer func() {
		if p := recover(); p != nil { // which ends the call, and must not leave the release pending
			r.settle(fmt.Errorf("%v", p))
			panic(p)
		}
	}()
	rel, err := act(r.cfg)
	if err == nil {
		return rel, nil
	}
	return rel, r.failed(err)
}

// failed says what went wrong, and sees to it that the release is not left
// pending.
func (r *run) failed(err error) error {
	cause := cmp.Or(r.trouble, err)
	switch {
	case r.journal.interrupted():
		cause = errMoved
	case r.work.Err() != nil && !errors.Is(cause, errStopped):
		cause = r.stopped()
	}
	if known, ok := errors.AsType[*mcpkit.Error](translate(cause, r.w.what())); ok { // else report says what was being done
		cause = known
	}
	return r.report(cause, r.settle(cause))
}

// errStopped is a write whose time or whose call ended.
var errStopped = errors.New("stopped")

// stopped says that the time ran out, or the call was cancelled, and during what.
func (r *run) stopped() error {
	during := ""
	if r.doing != "" {
		during = " while " + r.doing
	}
	if errors.Is(r.call.Err(), context.Canceled) {
		return mcpkit.Wrap(mcpkit.Unavailable, errStopped, "cancelled by the caller%s", during)
	}
	return mcpkit.Wrap(mcpkit.Unavailable, errStopped, "not done within %s%s", r.limit.Round(time.Second/10), during)
}

// settle records the release as failed where Helm has left it in the middle of
// something, and returns how it is now.
func (r *run) settle(cause error) *release.Release {
	all, err := r.journal.history(r.w.Release)
	if err != nil || len(all) == 0 {
		return nil
	}
	last := all[0]
	ours := last.Version == r.w.revision && (busy(last) || r.w.op != removing && last.Info.Status == release.StatusFailed)
	if !ours || r.journal.interrupted() {
		return last
	}
	last.SetStatus(release.StatusFailed, fmt.Sprintf("%s failed: %s", r.w.op.title(), abridge(oneLine(r.w.hide.text(said(cause))), descriptionBytes)))
	if err := r.cfg.Releases.Update(last); err != nil {
		return nil
	}
	return last
}

// descriptionBytes bounds what a revision says of itself.
const descriptionBytes = 400

// report is the error a caller reads.
func (r *run) report(cause error, last *release.Release) error {
	known, ok := errors.AsType[*mcpkit.Error](cause)
	if !ok {
		known = &mcpkit.Error{Kind: mcpkit.Conflict, Text: cause.Error(), Err: cause}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s failed: %s", r.w.what(), known.Text)
	for _, line := range r.evidence {
		text.WriteString("\n" + line)
	}
	switch {
	case len(r.made) > 0:
		fmt.Fprintf(&text, "\nDone before that: %s", strings.Join(firstLines(r.made, linesShown), ", "))
	case errors.Is(cause, errStopped):
		text.WriteString("\nNo object is known to have been changed")
	default:
		text.WriteString("\nNo object was changed")
	}
	if last != nil {
		fmt.Fprintf(&text, "\nRevision %d is recorded as %s. %s", last.Version, last.Info.Status, r.w.next(last))
	}
	return &mcpkit.Error{Kind: known.Kind, Text: r.w.hide.text(text.String()), Err: errors.Join(cause, known.Err)}
}

// said is what an error says.
func said(err error) string {
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		return known.Text
	}
	return err.Error()
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// abridge cuts s to at most n bytes, marking that.
func abridge(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + "…"
}
