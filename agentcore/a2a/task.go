package a2a

import (
	"cmp"
	"context"
	"errors"
	"time"

	wire "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// MetaPhase is the key of a task's metadata that holds its run's phase, which
// says more than a task's state: Stopped is a run that reached a limit.
const MetaPhase = "toolcrib.dev/phase"

// answerID names the artifact that holds a task's answer.
const answerID = wire.ArtifactID("answer")

// get is the run of a task, if the caller asked it.
func (s *server) get(ctx context.Context, id wire.TaskID) (v1alpha1.AgentRun, error) {
	r, err := s.Store.Get(ctx, string(id))
	if err == nil && s.Authenticator != nil && r.Spec.RequestedBy != caller(ctx) {
		err = runs.ErrNotFound
	}
	return r, s.told(ctx, err)
}

// told is an error of the store as the protocol has it.
func (s *server) told(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, runs.ErrNotFound):
		return wire.NewError(wire.ErrTaskNotFound, "there is no such task of yours")
	case errors.Is(err, runs.ErrOver):
		return wire.NewError(wire.ErrTaskNotCancelable, "the task is over")
	}
	s.Logger.Error("a request cannot be answered", "error", err)
	return errInternal
}

// contextOf is the conversation that a run belongs to. One that nobody asked
// over A2A is alone.
func contextOf(r v1alpha1.AgentRun) string {
	return cmp.Or(r.Annotations[runs.ContextAnnotation], r.Name)
}

func info(r v1alpha1.AgentRun) wire.TaskInfo {
	return wire.TaskInfo{TaskID: wire.TaskID(r.Name), ContextID: contextOf(r)}
}

// task is a run as a task.
func task(r v1alpha1.AgentRun) *wire.Task {
	t := &wire.Task{
		ID: wire.TaskID(r.Name), ContextID: contextOf(r), Status: status(r),
		History:  []*wire.Message{message(r, "asked", wire.MessageRoleUser, run.WithoutSecrets(r.Spec.Prompt))},
		Metadata: metadata(r),
	}
	if r.Status.Answer != "" {
		t.Artifacts = []*wire.Artifact{artifact(r.Status.Answer)}
	}
	return t
}

func metadata(r v1alpha1.AgentRun) map[string]any {
	return map[string]any{MetaPhase: string(cmp.Or(r.Status.Phase, v1alpha1.RunPending)), toolbox.MetaUsage: usage(r.Status)}
}

// usage is what a run took by now, with the agents that it asked, as those count
// it that asked for the run.
func usage(s v1alpha1.AgentRunStatus) map[string]any {
	u := s.Tokens
	out := map[string]any{
		"tokens":  u.Input + u.Output + u.CacheRead + u.CacheWrite + s.Asked.Tokens,
		"costUSD": string(declared.Dollars(declared.Amount(s.CostUSD) + declared.Amount(s.Asked.CostUSD))),
	}
	if s.CostUSD == "" && u != (v1alpha1.TokenUsage{}) || s.Asked.Unstated > 0 {
		out["unstated"] = 1
	}
	return out
}

func artifact(text string) *wire.Artifact {
	return &wire.Artifact{ID: answerID, Name: "answer", Parts: wire.ContentParts{wire.NewTextPart(text)}}
}

func message(r v1alpha1.AgentRun, id string, role wire.MessageRole, text string) *wire.Message {
	m := wire.NewMessageForTask(role, info(r), wire.NewTextPart(text))
	m.ID = r.Name + "-" + id
	return m
}

// status is how a run stands. One that waits for a person's decision is under
// way: the decision is made in the cluster, and the message says by what.
func status(r v1alpha1.AgentRun) wire.TaskStatus {
	at := r.CreationTimestamp.Time
	if r.Status.StartedAt != nil {
		at = r.Status.StartedAt.Time
	}
	if n := len(r.Status.Events); n > 0 {
		if last, err := time.Parse(time.RFC3339, r.Status.Events[n-1].Time); err == nil {
			at = last
		}
	}
	out := wire.TaskStatus{State: state(r.Status.Phase), Timestamp: &at}
	text := r.Status.Message
	switch r.Status.Phase {
	case v1alpha1.RunCompleted:
		text = r.Status.Answer
		if run.HasTakenOut(run.WithoutSecrets(r.Spec.Prompt)) {
			text += "\n\nNote: " + run.TakenOut + "."
		}
	case v1alpha1.RunStopped:
		text = "a limit was reached: " + text
	}
	if text != "" {
		out.Message = message(r, "status", wire.MessageRoleAgent, text)
	}
	return out
}

// state maps phases. A run that reached a limit has failed to come to its
// answer, whatever it knows.
func state(p v1alpha1.RunPhase) wire.TaskState {
	switch p {
	case v1alpha1.RunRunning, v1alpha1.RunWaiting:
		return wire.TaskStateWorking
	case v1alpha1.RunCompleted:
		return wire.TaskStateCompleted
	case v1alpha1.RunStopped, v1alpha1.RunFailed:
		return wire.TaskStateFailed
	case v1alpha1.RunCancelled:
		return wire.TaskStateCanceled
	}
	return wire.TaskStateSubmitted
}
