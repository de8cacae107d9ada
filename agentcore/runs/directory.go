package runs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Directory keeps runs as files: NAME.json holds what was asked, NAME.events the
// record. One process at a time works on a run; who works on a directory sees
// what others do in it only when it begins.
type Directory struct {
	agent declared.Agent
	path  string

	making  sync.Mutex
	mu      sync.Mutex
	changed chan struct{} // closed and replaced at each change
}

// OpenDirectory opens the runs that are kept in a directory, and makes it if
// there is none.
func OpenDirectory(a declared.Agent, path string) (*Directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("keep runs: %w", err)
	}
	return &Directory{agent: a, path: path, changed: make(chan struct{})}, nil
}

const (
	askedFile  = ".json"
	recordFile = ".events"
)

func (d *Directory) file(name, ending string) string { return filepath.Join(d.path, name+ending) }

// tell wakes those who follow.
func (d *Directory) tell() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.changed)
	d.changed = make(chan struct{})
}

func (d *Directory) next() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.changed
}

// Create implements [Store].
func (d *Directory) Create(ctx context.Context, r v1alpha1.AgentRun) (v1alpha1.AgentRun, error) {
	d.making.Lock()
	defer d.making.Unlock()
	if r.Name != "" {
		if _, err := d.Get(ctx, r.Name); !errors.Is(err, ErrNotFound) {
			return r, cmp.Or(err, ErrExists)
		}
	}
	r.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AgentRun"}
	r.Namespace, r.Spec.Agent, r.CreationTimestamp = d.agent.Namespace, d.agent.Name, metav1.Now()
	if r.Name == "" {
		r.Name = newName(d.agent.Name)
	}
	r.Generation = 1
	if err := d.save(r); err != nil {
		return r, err
	}
	d.tell()
	r.Status.Phase = v1alpha1.RunPending
	return r, nil
}

// save writes what was asked, whole or not at all.
func (d *Directory) save(r v1alpha1.AgentRun) error {
	r.Status = v1alpha1.AgentRunStatus{}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("keep run %s: %w", r.Name, err)
	}
	f, err := os.CreateTemp(d.path, ".asked-*")
	if err != nil {
		return fmt.Errorf("keep run %s: %w", r.Name, err)
	}
	_, err = f.Write(append(text, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), d.file(r.Name, askedFile))
	}
	if err != nil {
		return errors.Join(fmt.Errorf("keep run %s: %w", r.Name, err), os.Remove(f.Name()))
	}
	return nil
}

// Get implements [Store].
func (d *Directory) Get(_ context.Context, name string) (v1alpha1.AgentRun, error) {
	r, err := d.asked(name)
	if err != nil {
		return r, err
	}
	return d.recorded(r)
}

// asked is what was asked by a run, without what became of it.
func (d *Directory) asked(name string) (v1alpha1.AgentRun, error) {
	var r v1alpha1.AgentRun
	if !goodName(name) {
		return r, ErrNotFound
	}
	text, err := os.ReadFile(d.file(name, askedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return r, ErrNotFound
	}
	if err == nil {
		err = json.Unmarshal(text, &r)
	}
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", name, err)
	}
	if r.Spec.Agent != d.agent.Name || r.Namespace != d.agent.Namespace {
		return v1alpha1.AgentRun{}, ErrNotFound
	}
	return r, nil
}

// recorded adds what became of a run by now.
func (d *Directory) recorded(r v1alpha1.AgentRun) (v1alpha1.AgentRun, error) {
	content, err := os.ReadFile(d.file(r.Name, recordFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return r, fmt.Errorf("read run %s: %w", r.Name, err)
	}
	events, _, err := record.Parse(content)
	if err != nil {
		return r, fmt.Errorf("read run %s: %w", r.Name, err)
	}
	r.Status.Phase = v1alpha1.RunPending
	if len(events) > 0 {
		state := run.Replay(events)
		describe(&r.Status, &state, d.agent.Prices)
		r.Status.Events = events
	}
	return r, nil
}

// all are the runs of the agent, oldest first. The error is about those that
// cannot be read; the others are returned all the same.
func (d *Directory) all() ([]v1alpha1.AgentRun, error) {
	return d.those(map[string]bool{}, func(v1alpha1.AgentRun) bool { return true })
}

// those are the runs of which what was asked is wanted, but for those that are
// over by what is known; of the latter it forgets those that are no longer there.
// To read all records each time would cost the more, the more runs there have
// been.
func (d *Directory) those(over map[string]bool, wanted func(asked v1alpha1.AgentRun) bool) ([]v1alpha1.AgentRun, error) {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	var out []v1alpha1.AgentRun
	var wrong []error
	there := map[string]bool{}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), askedFile)
		if !ok || strings.HasPrefix(name, ".") {
			continue
		}
		if there[name] = true; over[name] {
			continue
		}
		r, err := d.asked(name)
		if errors.Is(err, ErrNotFound) || err == nil && !wanted(r) {
			continue // another agent's, or of no interest
		}
		if err == nil {
			r, err = d.recorded(r)
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		out = append(out, r)
	}
	maps.DeleteFunc(over, func(name string, _ bool) bool { return !there[name] })
	slices.SortStableFunc(out, func(a, b v1alpha1.AgentRun) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	return out, errors.Join(wrong...)
}

// Conversation implements [Store].
func (d *Directory) Conversation(_ context.Context, id string) ([]v1alpha1.AgentRun, error) {
	all, err := d.those(map[string]bool{}, func(r v1alpha1.AgentRun) bool { return r.Labels[ContextLabel] == Label(id) })
	all = slices.DeleteFunc(all, func(r v1alpha1.AgentRun) bool { return !r.Status.Phase.Final() })
	for i := range all {
		all[i].Status.Events = nil
	}
	return all[max(0, len(all)-mostExchanges):], err
}

// Cancel implements [Store].
func (d *Directory) Cancel(ctx context.Context, name string) error {
	r, err := d.Get(ctx, name)
	switch {
	case err != nil:
		return err
	case r.Status.Phase.Final():
		return ErrOver
	}
	r.Spec.Cancel = true
	r.Generation++
	if err := d.save(r); err != nil {
		return err
	}
	d.tell()
	return nil
}

// Follow implements [Store].
func (d *Directory) Follow(ctx context.Context, name string) iter.Seq2[v1alpha1.AgentRun, error] {
	return func(yield func(v1alpha1.AgentRun, error) bool) {
		events, phase := -1, v1alpha1.RunPhase("")
		for {
			next := d.next()
			r, err := d.Get(ctx, name)
			if err != nil {
				yield(r, err)
				return
			}
			if len(r.Status.Events) != events || r.Status.Phase != phase {
				events, phase = len(r.Status.Events), r.Status.Phase
				if !yield(r, nil) || phase.Final() {
					return
				}
			}
			select {
			case <-next:
			case <-ctx.Done():
				yield(r, ctx.Err())
				return
			}
		}
	}
}

// Spent implements [Store].
func (d *Directory) Spent(_ context.Context, but string) (run.Spent, error) {
	all, err := d.all()
	var sum run.Spent
	today := time.Now().UTC().Truncate(24 * time.Hour)
	until := time.Now().Add(24 * time.Hour) // all runs
	for _, r := range all {
		if r.Name == but {
			until = r.CreationTimestamp.Time
		}
	}
	for _, r := range all {
		if r.Name == but || r.CreationTimestamp.Time.Before(today) {
			continue
		}
		u, asked := r.Status.Tokens, r.Status.Asked
		if before(r.CreationTimestamp.Time, r.Name, until, but) {
			sum.Runs++
		}
		sum.ToolCalls += int(r.Status.ToolCalls)
		sum.Tokens += u.Input + u.Output + u.CacheRead + u.CacheWrite + asked.Tokens
		sum.Cost += declared.Amount(r.Status.CostUSD) + declared.Amount(asked.CostUSD)
	}
	return sum, err
}

// Watch implements [Store].
func (d *Directory) Watch(ctx context.Context, see func(Sighting)) {
	seen, over := map[string]Sighting{}, map[string]bool{}
	for {
		next := d.next()
		there := map[string]bool{}
		all, err := d.those(over, func(v1alpha1.AgentRun) bool { return true })
		for _, r := range all {
			s := Sighting{Name: r.Name, Phase: r.Status.Phase, Spec: r.Generation, Version: strconv.Itoa(len(r.Status.Events)), Gone: r.Status.Phase.Final()}
			if s.Gone {
				over[r.Name] = true
			}
			if there[r.Name] = !s.Gone; there[r.Name] && seen[r.Name] != s {
				seen[r.Name] = s
				see(s)
			}
		}
		for _, name := range slices.Collect(maps.Keys(seen)) {
			if !there[name] && err == nil {
				delete(seen, name)
				see(Sighting{Name: name, Gone: true})
			}
		}
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
	}
}

// Claim implements [Store].
func (d *Directory) Claim(ctx context.Context, name, _ string) (Claim, error) {
	r, err := d.Get(ctx, name)
	switch {
	case err != nil:
		return nil, err
	case r.Status.Phase.Final():
		return nil, ErrOver
	}
	f, err := record.OpenFile(d.file(name, recordFile))
	if errors.Is(err, record.ErrBusy) {
		return nil, ErrTaken
	}
	if err != nil {
		return nil, err
	}
	r.Status.Events = nil
	return &held{File: f, in: d, run: r}, nil
}

// held is a run of a directory in the hands of this process.
type held struct {
	*record.File
	in  *Directory
	run v1alpha1.AgentRun
}

// Append implements [record.Log].
func (h *held) Append(ctx context.Context, events ...record.Event) error {
	if err := h.File.Append(ctx, events...); err != nil {
		return err
	}
	h.in.tell()
	return nil
}

// Run implements [Claim].
func (h *held) Run() v1alpha1.AgentRun { return h.run }

// Renew implements [Claim]: the lock on the file needs none.
func (h *held) Renew(context.Context) error { return nil }

// Release implements [Claim].
func (h *held) Release(context.Context) error {
	err := h.Close()
	h.in.tell()
	return err
}
