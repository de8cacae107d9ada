package helm

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	"k8s.io/apimachinery/pkg/api/meta"
)

// operation is what a write does to its release.
type operation string

const (
	installing  operation = "install"
	upgrading   operation = "upgrade"
	rollingBack operation = "roll back"
	removing    operation = "uninstall"
)

// event is the end of the names of its hooks' events.
func (o operation) event() string { return "-" + strings.ReplaceAll(string(o), " ", "") }

// title begins the sentence that a revision says of itself.
func (o operation) title() string { return strings.ToUpper(string(o[:1])) + string(o[1:]) }

// write is one write of a release, the unit every write tool is made of:
//
//	plan: read the release -> render twice -> try each object as a dry run -> compare
//	apply: run Helm's action -> on failure record it, gather why -> take back, if asked to
//
// What binds the two is the versions of the release's records, the digest of the
// chart and of what it renders (see [outline]); see [journal] and [run] for
// what holds apply to them.
type write struct {
	Release
	op       operation
	limit    time.Duration
	takeBack bool // on failure

	journal  *journal
	history  []*release.Release // newest first
	stuck    *release.Release   // pending, to be marked failed first
	revision int                // the number of the revision this writes

	chart    *loaded          // of an install or upgrade
	outline  *outline         // of an install or upgrade
	types    meta.RESTMapper  // of the chart's CRDs
	before   *release.Release // what is there now; nil at an install
	after    *release.Release // what will be; nil after an uninstall
	steps    []*trial
	newSpace bool // the namespace is created
	hide     *hider

	act   func(*action.Configuration, bool) (*release.Release, error) // Helm's action, the flag for its dry run
	seen  []string
	lines []string // of the diff, before the objects'
	notes []string
	now   []string
}

// what names the write in an error.
func (w *write) what() string { return string(w.op) + " " + w.Release.String() }

// next is what a caller may do after a failure.
func (w *write) next(last *release.Release) string {
	switch {
	case last.Version != w.revision:
		return ""
	case w.op == removing:
		return "What is gone stays gone; call helm_uninstall again to go on"
	case w.op == installing:
		return "What was created stays, and may become ready later; helm_upgrade tries again, helm_uninstall removes it"
	}
	return "What was written stays, and may become ready later; helm_upgrade tries again, helm_rollback goes back"
}

// openWrite begins a write of a release: it reads the records.
func (b *Backend) openWrite(ctx context.Context, of Release, op operation) (*write, error) {
	mcpkit.SetTarget(ctx, of.String())
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	w := &write{Release: of, op: op, journal: newJournal(ctx, c, of.Namespace)}
	w.journal.rehearsal = true
	if w.history, err = w.journal.history(of); err != nil {
		return nil, err
	}
	w.revision = 1
	if len(w.history) > 0 {
		w.revision = w.history[0].Version + 1
	}
	return w, nil
}

// deployed is the revision that is, or last was, deployed; the newest if none
// ever was.
func (w *write) deployed() *release.Release {
	for _, r := range w.history {
		if r.Info.Status == release.StatusDeployed {
			return r
		}
	}
	return w.history[0]
}

// manifests are the present and the future one.
func (w *write) manifests() (before, after string) {
	if w.before != nil {
		before = w.before.Manifest
	}
	if w.after != nil {
		after = w.after.Manifest
	}
	return before, after
}

// try rehearses the objects and the record of the new revision.
func (b *Backend) try(ctx context.Context, w *write) error {
	cfg, err := b.rehearsalOf(ctx, w.Namespace, w.types, w.journal)
	if err != nil {
		return err
	}
	before, after := w.manifests()
	if w.steps, err = b.rehearse(ctx, cfg, w.Release, before, after); err != nil {
		return err
	}
	if err := obstacles(w.what(), w.steps); err != nil {
		return err
	}
	if w.after == nil {
		return nil
	}
	if err := w.tryHooks(cfg); err != nil {
		return err
	}
	err = w.journal.store(nil).Create(w.record())
	if w.newSpace && isNotFound(err) {
		err = nil
	}
	return translate(err, "write the record of "+w.Release.String())
}

// record is the new revision as it will be written.
func (w *write) record() *release.Release {
	r := *w.after
	r.Version = w.revision
	return &r
}

// plan puts together what was found out. A write that would change nothing has
// no diff, and is not made.
func (w *write) plan(ctx context.Context) mcpkit.Plan {
	if note := w.journal.spoiltNote(); note != "" {
		w.notes = append(w.notes, note)
	}
	p := mcpkit.Plan{Target: w.Release.String(), State: w, Notes: w.notes, Now: w.now}
	p.Seen = append(append(p.Seen, w.seen...), w.journal.versions()...)
	if w.outline != nil {
		p.Seen = append(p.Seen, "rendering "+w.outline.digest())
	}
	w.journal.bind()
	w.learn(ctx)
	p.Notes = w.hide.lines(p.Notes)
	objects := w.objectLines(ctx)
	if len(w.lines)+len(objects) > 0 {
		lines := append(w.headline(), append(w.lines, objects...)...)
		p.Diff = strings.Join(bounded(w.hide.lines(lines)), "\n")
	}
	return p
}

// learn notes the secrets of the release before and after, which are taken out
// of all that is said of the write.
func (w *write) learn(ctx context.Context) {
	w.hide = new(hider)
	for _, r := range []*release.Release{w.before, w.after} {
		if r == nil {
			continue
		}
		objects, _ := parseManifest(r.Manifest, w.Namespace)
		for _, h := range r.Hooks {
			more, _ := parseManifest(h.Manifest, w.Namespace)
			objects = append(objects, more...)
		}
		w.hide.learnRelease(ctx, r, objects)
	}
}

// headline says what becomes of the release.
func (w *write) headline() []string {
	switch w.op {
	case removing:
		return nil
	case installing:
		return []string{fmt.Sprintf("+ revision %d: %s", w.revision, w.chart.from)}
	}
	return []string{fmt.Sprintf("~ revision %d -> %d", w.before.Version, w.revision)}
}

// WriteOut is what every tool that writes a release answers.
type WriteOut struct {
	Result string `json:"result"`
	mcpkit.Left
	Revision int    `json:"revision,omitempty"`
	Status   string `json:"status,omitempty"`
	mcpkit.Table
	Kept  string `json:"kept,omitempty" jsonschema:"objects that an uninstall left"`
	Notes string `json:"notes,omitempty" jsonschema:"what the chart says, redacted"`
}

// carryOut makes the write of a plan.
func (b *Backend) carryOut(ctx context.Context, p mcpkit.Plan) (WriteOut, error) {
	w, ok := p.State.(*write)
	if !ok {
		return WriteOut{}, fmt.Errorf("the plan's state is a %T", p.State)
	}
	if p.Diff == "" {
		return w.unchanged(), nil
	}
	r, end, err := b.begin(ctx, w)
	if err != nil {
		return WriteOut{}, err
	}
	defer end()
	rel, err := r.do(func(cfg *action.Configuration) (*release.Release, error) { return w.act(cfg, false) })
	if err != nil {
		return WriteOut{}, b.takeBack(ctx, r, err)
	}
	return r.answer(rel), nil
}

// applied is the second half of a write tool whose first half plans a write.
func applied[In any](b *Backend) func(context.Context, In, mcpkit.Plan) (WriteOut, error) {
	return func(ctx context.Context, _ In, p mcpkit.Plan) (WriteOut, error) { return b.carryOut(ctx, p) }
}

func (w *write) unchanged() WriteOut {
	out := WriteOut{Result: "nothing was written: the release is as asked already", Table: objectTable(nil)}
	if len(w.history) > 0 {
		out.Revision, out.Status = w.history[0].Version, w.history[0].Info.Status.String()
	}
	return out
}

func objectTable(made []string) mcpkit.Table {
	t := mcpkit.Table{Columns: []string{"done", "object"}, Rows: [][]string{}}
	for _, line := range made {
		verb, object, _ := strings.Cut(line, " ")
		t.Rows = append(t.Rows, []string{verb, object})
	}
	return t
}

// noteBytes bounds what a chart has to say.
const noteBytes = 4 << 10

// answer says what was done.
func (r *run) answer(rel *release.Release) WriteOut {
	w := r.w
	out := WriteOut{Table: objectTable(r.made)}
	if w.op == removing {
		out.Result = w.Release.String() + " is uninstalled"
		var stay []string
		for _, s := range w.steps {
			if s.deed == keeping {
				stay = append(stay, s.String())
			}
		}
		out.Kept = strings.Join(firstLines(stay, linesShown), ", ")
		return out
	}
	out.Revision, out.Status = rel.Version, rel.Info.Status.String()
	out.Result = fmt.Sprintf("%s is %s as revision %d", w.Release, rel.Info.Status, rel.Version)
	notes, _ := mcpkit.Redact(r.call, mcpkit.Object{"notes": strings.TrimSpace(rel.Info.Notes)})["notes"].(string)
	out.Notes = abridge(w.hide.text(notes), noteBytes)
	return out
}

// takeBack undoes a write that failed, if it was asked to and there is time.
func (b *Backend) takeBack(ctx context.Context, failed *run, err error) error {
	w := failed.w
	if !w.takeBack || ctx.Err() != nil || len(failed.made) == 0 {
		return err
	}
	known, ok := errors.AsType[*mcpkit.Error](err)
	if !ok {
		return err
	}
	var undo mcpkit.Plan
	var planErr error
	done := "uninstalled again"
	switch {
	case w.op == installing:
		undo, planErr = b.planUninstall(ctx, UninstallIn{Release: w.Release})
	case w.before.Info.Status != release.StatusDeployed && w.before.Info.Status != release.StatusSuperseded:
		return mcpkit.Wrap(known.Kind, err, "%s\nThere is no deployed revision to go back to", known.Text)
	default:
		undo, planErr = b.planRollback(ctx, RollbackIn{Release: w.Release, Revision: w.before.Version})
		done = fmt.Sprintf("rolled back to revision %d", w.before.Version)
	}
	if planErr == nil {
		_, planErr = b.carryOut(ctx, undo)
	}
	if planErr != nil {
		return mcpkit.Wrap(known.Kind, err, "%s\nTaking it back failed too: %s", known.Text, said(planErr))
	}
	return mcpkit.Wrap(known.Kind, err, "%s\nSince then it was %s, as rollback_on_failure asks", known.Text, done)
}
