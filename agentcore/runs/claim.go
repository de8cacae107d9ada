package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/linger"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// How claims live.
const (
	// StaleAfter is for how long a claim must have been left alone before
	// anybody takes it over.
	StaleAfter = 60 * time.Second
	// doubtAfter is how long after its last renewal a process has to fear that
	// somebody is about to.
	doubtAfter = 45 * time.Second
	// renewEvery is how often a process says that it is alive.
	renewEvery = 15 * time.Second
)

// claim is a run that this process has. All that it writes is tested to follow
// what it wrote before: renewedAt is new in each patch, so that one that was
// lost on the way and arrives late changes nothing.
type claim struct {
	*Cluster
	run v1alpha1.AgentRun

	mu     sync.Mutex
	held   v1alpha1.RunClaim // as it stands in the cluster
	proven time.Time         // when it was surely ours
	events []record.Event
	bytes  int
	lost   error
}

// op is an operation of a JSON patch (RFC 6902).
type op struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value"`
}

// Claim implements [Store].
func (c *Cluster) Claim(ctx context.Context, name, stale string) (Claim, error) {
	r, err := c.Get(ctx, name)
	if err != nil {
		return nil, err
	}
	now := r.Status.Claim
	switch {
	case r.Status.Phase.Final():
		return nil, ErrOver
	case now != nil && r.ResourceVersion != stale && !strings.HasPrefix(now.Holder, c.pod):
		return nil, ErrTaken
	}
	proven := time.Now()
	held := v1alpha1.RunClaim{Holder: c.holder, RenewedAt: later(now)}
	ops := []op{
		{"test", "/metadata/resourceVersion", r.ResourceVersion},
		{"add", "/status/claim", held},
		{"add", "/status/revision", c.agent.Revision},
	}
	if r.Status.Events == nil {
		ops = append(ops, op{"add", "/status/events", []record.Event{}})
	}
	if r.Status.Phase != v1alpha1.RunWaiting {
		ops = append(ops, op{"add", "/status/phase", v1alpha1.RunRunning})
	}
	if r.Status.StartedAt == nil {
		ops = append(ops, op{"add", "/status/startedAt", metav1.Now()})
	}
	switch err := c.patch(ctx, name, ops); {
	case rejected(err) || apierrors.IsConflict(err):
		return nil, ErrTaken
	case err != nil:
		return nil, told(err)
	}
	k := &claim{Cluster: c, run: r, held: held, proven: proven, events: r.Status.Events}
	for _, e := range k.events {
		k.bytes += record.Size(e)
	}
	k.run.Status.Events = nil
	return k, nil
}

// later is a time that a claim was not renewed at before, by whatever clock.
func later(now *v1alpha1.RunClaim) metav1.MicroTime {
	at := time.Now().UTC().Truncate(time.Microsecond)
	if now != nil && !at.After(now.RenewedAt.Time) {
		at = now.RenewedAt.Add(time.Microsecond)
	}
	return metav1.NewMicroTime(at.UTC())
}

func (c *Cluster) patch(ctx context.Context, name string, ops []op) error {
	body, err := json.Marshal(ops)
	if err != nil {
		return fmt.Errorf("write a patch: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return c.on(c.client.Patch(types.JSONPatchType)).Name(name).SubResource("status").MaxRetries(0).Body(body).Do(ctx).Error()
}

// rejected reports whether a patch did not pass its tests, or is not valid.
func rejected(err error) bool { return apierrors.IsInvalid(err) }

// Run implements [Claim].
func (k *claim) Run() v1alpha1.AgentRun { return k.run }

// Events implements [record.Log].
func (k *claim) Events() []record.Event {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.events[:len(k.events):len(k.events)]
}

// Append implements [record.Log]. With the events goes how the run stands by
// them.
func (k *claim) Append(ctx context.Context, events ...record.Event) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !record.Fits(len(k.events), k.bytes, events...) {
		return record.ErrFull
	}
	all := append(k.events[:len(k.events):len(k.events)], events...)
	state := run.Replay(all)
	status := v1alpha1.AgentRunStatus{}
	describe(&status, &state, k.agent.Prices)
	ops := standing(status)
	for _, e := range events {
		ops = append(ops, op{"add", "/status/events/-", e})
	}
	if err := k.write(ctx, ops); err != nil {
		return err
	}
	k.events = all
	for _, e := range events {
		k.bytes += record.Size(e)
	}
	return nil
}

// standing are the operations that write how a run stands.
func standing(s v1alpha1.AgentRunStatus) []op {
	ops := []op{
		{"add", "/status/phase", s.Phase}, {"add", "/status/message", s.Message},
		{"add", "/status/turns", s.Turns}, {"add", "/status/toolCalls", s.ToolCalls}, {"add", "/status/tokens", s.Tokens},
	}
	if s.CostUSD != "" {
		ops = append(ops, op{"add", "/status/costUSD", s.CostUSD})
	}
	if s.Asked != (v1alpha1.AskedUsage{}) {
		ops = append(ops, op{"add", "/status/asked", s.Asked})
	}
	if s.Answer != "" {
		ops = append(ops, op{"add", "/status/answer", s.Answer})
	}
	if len(s.Approvals) > 0 {
		ops = append(ops, op{"add", "/status/approvals", s.Approvals})
	}
	if s.TraceID != "" {
		ops = append(ops, op{"add", "/status/traceID", s.TraceID})
	}
	if s.FinishedAt != nil {
		ops = append(ops, op{"add", "/status/finishedAt", s.FinishedAt})
	}
	return ops
}

// Renew implements [Claim].
func (k *claim) Renew(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost == nil && time.Since(k.proven) < renewEvery/2 {
		return nil // something was just appended
	}
	return k.write(ctx, nil)
}

// write changes the run, if it is still ours, and renews the claim by it. It
// tries until that is in doubt.
func (k *claim) write(ctx context.Context, ops []op) error {
	if k.lost != nil {
		return k.lost
	}
	next := v1alpha1.RunClaim{Holder: k.held.Holder, RenewedAt: later(&k.held)}
	ops = append([]op{{"test", "/status/claim", k.held}, {"replace", "/status/claim", next}}, ops...)
	ctx, cancel := context.WithDeadline(ctx, k.proven.Add(doubtAfter))
	defer cancel()
	pause := watchFirst
	for {
		began := time.Now()
		err := k.patch(ctx, k.run.Name, ops)
		if err != nil {
			err = k.uncertain(ctx, err, next)
		}
		switch {
		case err == nil:
			k.held, k.proven = next, began
			return nil
		case errors.Is(err, record.ErrLost):
			k.lost = err
			return err
		case final(err):
			return fmt.Errorf("keep run %s: %w", k.run.Name, err)
		}
		if linger.For(ctx, jitter(pause)) != nil {
			if time.Since(k.proven) >= doubtAfter {
				k.lost = fmt.Errorf("the cluster did not answer for %s: %w", doubtAfter, record.ErrLost)
				return k.lost
			}
			return fmt.Errorf("keep run %s: %w", k.run.Name, err)
		}
		pause = min(2*pause, 2*time.Second)
	}
}

// final reports whether trying again cannot help.
func final(err error) bool {
	return rejected(err) || apierrors.IsForbidden(err) || apierrors.IsRequestEntityTooLargeError(err) || errors.Is(err, record.ErrFull)
}

// uncertain finds out what became of a patch that failed: it may have arrived.
func (k *claim) uncertain(ctx context.Context, failed error, next v1alpha1.RunClaim) error {
	switch {
	case apierrors.IsNotFound(failed):
		return fmt.Errorf("the run was deleted: %w", record.ErrLost)
	case apierrors.IsForbidden(failed):
		return failed
	case apierrors.IsRequestEntityTooLargeError(failed), strings.Contains(failed.Error(), "request is too large"):
		return record.ErrFull
	}
	r, err := k.Get(ctx, k.run.Name)
	switch {
	case errors.Is(err, ErrNotFound):
		return fmt.Errorf("the run was deleted: %w", record.ErrLost)
	case err != nil:
		return failed
	case r.UID != k.run.UID, r.Status.Claim == nil, r.Status.Claim.Holder != k.held.Holder:
		return record.ErrLost
	case r.Status.Claim.RenewedAt.Equal(&next.RenewedAt):
		return nil // it did arrive
	}
	return failed
}

// Release implements [Claim].
func (k *claim) Release(ctx context.Context) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.lost != nil {
		return nil // it is not ours to hand back
	}
	k.lost = record.ErrLost
	ops := []op{{"test", "/status/claim", k.held}, {Op: "remove", Path: "/status/claim"}}
	state := run.Replay(k.events)
	if !state.Over() {
		ops = append(ops, op{"add", "/status/phase", v1alpha1.RunPending}, op{"add", "/status/message", "was handed over, and waits for an agent to go on with it"})
	}
	if err := k.patch(ctx, k.run.Name, ops); !apierrors.IsNotFound(err) {
		return err
	}
	return nil // it was deleted
}
