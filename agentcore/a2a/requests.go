package a2a

import (
	"context"
	"iter"

	wire "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// SendMessage implements a2asrv.RequestHandler. Unless the client wants to know
// at once, it waits until the run is over.
func (s *server) SendMessage(ctx context.Context, r *wire.SendMessageRequest) (wire.SendMessageResult, error) {
	asked, err := s.begin(ctx, r)
	if err != nil {
		return nil, err
	}
	if r.Config != nil && r.Config.ReturnImmediately {
		return task(asked), nil
	}
	for now, err := range s.Store.Follow(ctx, asked.Name) {
		if err != nil {
			return nil, s.told(ctx, err)
		}
		asked = now
	}
	return task(asked), nil
}

// SendStreamingMessage implements a2asrv.RequestHandler.
func (s *server) SendStreamingMessage(ctx context.Context, r *wire.SendMessageRequest) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		asked, err := s.begin(ctx, r)
		if err != nil {
			yield(nil, err)
			return
		}
		s.stream(ctx, asked, yield)
	}
}

// SubscribeToTask implements a2asrv.RequestHandler.
func (s *server) SubscribeToTask(ctx context.Context, r *wire.SubscribeToTaskRequest) iter.Seq2[wire.Event, error] {
	return func(yield func(wire.Event, error) bool) {
		asked, err := s.get(ctx, r.ID)
		switch {
		case err != nil:
			yield(nil, err)
		case asked.Status.Phase.Final():
			yield(nil, wire.NewError(wire.ErrUnsupportedOperation, "the task is over; ask for it instead"))
		default:
			s.stream(ctx, asked, yield)
		}
	}
}

// GetTask implements a2asrv.RequestHandler.
func (s *server) GetTask(ctx context.Context, r *wire.GetTaskRequest) (*wire.Task, error) {
	found, err := s.get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	t := task(found)
	if r.HistoryLength != nil && *r.HistoryLength < len(t.History) {
		t.History = t.History[len(t.History)-max(0, *r.HistoryLength):]
	}
	return t, nil
}

// CancelTask implements a2asrv.RequestHandler. The run ends as soon as it can be
// ended: a write that is under way is waited for.
func (s *server) CancelTask(ctx context.Context, r *wire.CancelTaskRequest) (*wire.Task, error) {
	found, err := s.get(ctx, r.ID)
	if err != nil {
		return nil, err
	}
	if found.Status.Phase == v1alpha1.RunCancelled {
		return task(found), nil
	}
	if err := s.Store.Cancel(ctx, found.Name); err != nil {
		return nil, s.told(ctx, err)
	}
	for now, err := range s.Store.Follow(ctx, found.Name) {
		if err != nil {
			return nil, s.told(ctx, err)
		}
		found = now
	}
	return task(found), nil
}

// stream yields a run's changes and its words until it is over.
func (s *server) stream(ctx context.Context, asked v1alpha1.AgentRun, yield func(wire.Event, error) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ear := s.Worker.Listen(asked.Name)
	defer ear.Close()
	type step struct {
		now v1alpha1.AgentRun
		err error
	}
	steps := make(chan step)
	go func() {
		defer close(steps)
		for now, err := range s.Store.Follow(ctx, asked.Name) {
			select {
			case steps <- step{now, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	out := narrator{yield: yield}
	if !out.begins(asked) {
		return
	}
	for {
		select {
		case <-ear.News():
			if !out.says(ear.Take()) {
				return
			}
		case next, more := <-steps:
			switch {
			case !more:
				return
			case next.err != nil:
				yield(nil, s.told(ctx, next.err))
				return
			case !out.says(ear.Take()) || !out.stands(next.now):
				return
			}
		}
	}
}

// narrator tells a client what is new of a run.
type narrator struct {
	yield  func(wire.Event, error) bool
	run    v1alpha1.AgentRun
	status string // as last told
	said   string // of the answer that arrives
}

func (n *narrator) begins(r v1alpha1.AgentRun) bool {
	n.run, n.status = r, standing(r)
	t := task(r)
	return n.yield(t, nil) && !t.Status.State.Terminal()
}

// says tells words of the model. Those that begin an answer take the place of
// what it said before it called a tool.
func (n *narrator) says(words []runs.Words) bool {
	for _, w := range words {
		if w.First {
			n.said = ""
		}
		n.said += w.Text
		event := &wire.TaskArtifactUpdateEvent{
			TaskID: wire.TaskID(n.run.Name), ContextID: contextOf(n.run), Append: !w.First, Artifact: artifact(w.Text),
		}
		if !n.yield(event, nil) {
			return false
		}
	}
	return true
}

// stands tells how the run stands, if that is new. It returns false once there
// is nothing more to tell.
func (n *narrator) stands(r v1alpha1.AgentRun) bool {
	n.run = r
	now := standing(r)
	if now == n.status && !r.Status.Phase.Final() {
		return true
	}
	n.status = now
	if r.Status.Phase.Final() && r.Status.Answer != "" && r.Status.Answer != n.said {
		event := &wire.TaskArtifactUpdateEvent{
			TaskID: wire.TaskID(r.Name), ContextID: contextOf(r), Artifact: artifact(r.Status.Answer), LastChunk: true,
		}
		if !n.yield(event, nil) {
			return false
		}
	}
	event := &wire.TaskStatusUpdateEvent{TaskID: wire.TaskID(r.Name), ContextID: contextOf(r), Status: status(r), Metadata: metadata(r)}
	return n.yield(event, nil) && !event.Status.State.Terminal()
}

func standing(r v1alpha1.AgentRun) string { return string(r.Status.Phase) + " " + r.Status.Message }

// errNoPush is about what the card says is not there.
var errNoPush = wire.NewError(wire.ErrPushNotificationNotSupported, "this agent pushes no notifications; stream the message, or ask for the task")

// unsupported refuses the methods of the protocol that are not served.
type unsupported struct{}

func (unsupported) ListTasks(context.Context, *wire.ListTasksRequest) (*wire.ListTasksResponse, error) {
	return nil, wire.NewError(wire.ErrUnsupportedOperation, "this agent lists no tasks; kubectl get agentruns does")
}

func (unsupported) GetTaskPushConfig(context.Context, *wire.GetTaskPushConfigRequest) (*wire.PushConfig, error) {
	return nil, errNoPush
}

func (unsupported) ListTaskPushConfigs(context.Context, *wire.ListTaskPushConfigRequest) (*wire.ListTaskPushConfigResponse, error) {
	return nil, errNoPush
}

func (unsupported) CreateTaskPushConfig(context.Context, *wire.PushConfig) (*wire.PushConfig, error) {
	return nil, errNoPush
}

func (unsupported) DeleteTaskPushConfig(context.Context, *wire.DeleteTaskPushConfigRequest) error {
	return errNoPush
}

func (unsupported) GetExtendedAgentCard(context.Context, *wire.GetExtendedAgentCardRequest) (*wire.AgentCard, error) {
	return nil, wire.NewError(wire.ErrExtendedCardNotConfigured, "the card at "+cardPath+" says all there is")
}
