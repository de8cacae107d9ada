package a2a

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	wire "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/runs"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Bounds of a message.
const (
	mostText    = 64 << 10 // bytes of text, and of data
	mostContext = 512      // bytes of a conversation's name
	mostID      = 512      // bytes of a message's
)

var errInternal = wire.NewError(wire.ErrInternalError, "the agent could not answer; see its log")

func invalid(format string, args ...any) error {
	return wire.NewError(wire.ErrInvalidParams, fmt.Sprintf(format, args...))
}

// caller is who asks; empty where nobody is asked to say.
func caller(ctx context.Context) string {
	c, _ := mcpkit.CallerFrom(ctx)
	return c.Name
}

// begin makes a run of a message, or finds the one that it has made before.
func (s *server) begin(ctx context.Context, r *wire.SendMessageRequest) (v1alpha1.AgentRun, error) {
	asked, err := s.asked(ctx, r)
	if err != nil {
		return asked, err
	}
	if s.Worker.Pending() >= s.MostPending {
		return asked, wire.NewError(wire.ErrServerError, fmt.Sprintf("%d questions wait for this agent already; try again later", s.MostPending))
	}
	made, err := s.Store.Create(ctx, asked)
	if errors.Is(err, runs.ErrExists) {
		made, err = s.Store.Get(ctx, asked.Name)
		if err == nil && (made.Spec.Prompt != asked.Spec.Prompt || made.Spec.Data != asked.Spec.Data || made.Spec.RequestedBy != asked.Spec.RequestedBy) {
			return asked, invalid("messageId %q was that of another message already; give each its own", r.Message.ID)
		}
	}
	return made, s.told(ctx, err)
}

// asked is a message as a run.
func (s *server) asked(ctx context.Context, r *wire.SendMessageRequest) (v1alpha1.AgentRun, error) {
	var none v1alpha1.AgentRun
	if r == nil || r.Message == nil {
		return none, invalid("the message is missing")
	}
	m := r.Message
	switch {
	case r.Config != nil && r.Config.PushConfig != nil:
		return none, wire.NewError(wire.ErrPushNotificationNotSupported, "this agent pushes no notifications; stream the message, or ask for the task")
	case m.TaskID != "":
		return none, s.followUp(ctx, m)
	case len(m.ContextID) > mostContext || len(m.ID) > mostID:
		return none, invalid("contextId and messageId take at most %d bytes", mostContext)
	}
	text, data, err := content(m.Parts)
	if err != nil {
		return none, err
	}
	out := v1alpha1.AgentRun{Spec: v1alpha1.AgentRunSpec{
		Prompt: text, Data: data, RequestedBy: caller(ctx), Trigger: &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerA2A},
	}}
	id := m.ContextID
	if id == "" {
		id = wire.NewContextID()
	}
	out.Labels = map[string]string{runs.ContextLabel: runs.Label(id)}
	out.Annotations = map[string]string{runs.ContextAnnotation: id}
	if m.ID != "" {
		out.Name = runs.NameFor(s.Agent.Name, s.Agent.Namespace, out.Spec.RequestedBy, m.ID)
	}
	return out, s.above(m.Metadata, &out)
}

// followUp refuses to say more in a task that was asked already.
func (s *server) followUp(ctx context.Context, m *wire.Message) error {
	r, err := s.get(ctx, m.TaskID)
	if err != nil {
		return err
	}
	return wire.NewError(wire.ErrUnsupportedOperation, fmt.Sprintf("task %s takes no more messages; to go on with the conversation, send contextId %q and no taskId", r.Name, contextOf(r)))
}

// content is what a message says, and the data that comes with it.
func content(parts wire.ContentParts) (text, data string, err error) {
	var texts []string
	var values []any
	for _, p := range parts {
		if p == nil {
			continue
		}
		switch c := p.Content.(type) {
		case wire.Text:
			texts = append(texts, string(c))
		case wire.Data:
			values = append(values, c.Value)
		default:
			return "", "", wire.NewError(wire.ErrUnsupportedContentType, "this agent reads text and data, no files; send what is in them as text")
		}
	}
	text = strings.TrimSpace(run.WithoutSecrets(strings.Join(texts, "\n\n")))
	if len(values) == 1 {
		values, err = nil, encode(values[0], &data)
	} else if len(values) > 1 {
		err = encode(values, &data)
	}
	data = run.WithoutSecrets(data)
	switch {
	case err != nil:
		return "", "", err
	case text == "":
		return "", "", invalid("the message says nothing: send a part with text")
	case len(text) > mostText || len(data) > mostText:
		return "", "", invalid("the message is longer than %d KiB; ask less at once", mostText>>10)
	}
	return text, data, nil
}

func encode(value any, into *string) error {
	b, err := json.Marshal(value)
	if err != nil {
		return invalid("the message's data cannot be read: %v", err)
	}
	*into = string(b)
	return nil
}

// above notes which agents stand above this one, and refuses those of which
// there would be no end.
func (s *server) above(metadata map[string]any, r *v1alpha1.AgentRun) error {
	path, err := texts(metadata[toolbox.MetaPath])
	own := s.Agent.Namespace + "/" + s.Agent.Name
	switch {
	case err != nil:
		return invalid("metadata %s: %v", toolbox.MetaPath, err)
	case slices.Contains(path, own):
		return invalid("the question would go round in a circle: %s -> %s", strings.Join(path, " -> "), own)
	case len(path) > toolbox.MaxDepth:
		return invalid("more than %d agents stand above this one: %s", toolbox.MaxDepth, strings.Join(path, " -> "))
	}
	if len(path) > 0 {
		r.Annotations[runs.PathAnnotation] = strings.Join(path, ",")
		above := path[len(path)-1]
		r.Spec.Trigger = &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerAgent, Name: above[strings.Index(above, "/")+1:]}
		if name, _ := metadata[mcpkit.MetaRun].(string); name != "" && len(name) <= 253 {
			r.Spec.Parent = &v1alpha1.RunParent{Agent: above, Run: name, Depth: int32(len(path))}
		}
	}
	if err := noteLeft(metadata, r); err != nil {
		return err
	}
	switch access, _ := metadata[toolbox.MetaAccess].(string); v1alpha1.Access(access) {
	case "":
	case v1alpha1.AccessReadOnly, v1alpha1.AccessApprove, v1alpha1.AccessWrite:
		metav1.SetMetaDataAnnotation(&r.ObjectMeta, runs.AccessAnnotation, access)
	default:
		return invalid("metadata %s: %q is no access; write ReadOnly, Approve or Write", toolbox.MetaAccess, access)
	}
	return nil
}

// noteLeft notes what whoever asks has left for the run.
func noteLeft(metadata map[string]any, r *v1alpha1.AgentRun) error {
	if value, given := metadata[toolbox.MetaTokensLeft]; given {
		tokens, ok := value.(float64)
		if !ok || tokens < 1 || tokens > math.MaxInt64/2 {
			return invalid("metadata %s: write a number from 1 on", toolbox.MetaTokensLeft)
		}
		metav1.SetMetaDataAnnotation(&r.ObjectMeta, runs.TokensAnnotation, strconv.FormatInt(int64(tokens), 10))
	}
	if value, given := metadata[toolbox.MetaDollarsLeft]; given {
		text, _ := value.(string)
		amount := declared.Amount(v1alpha1.Dollars(text))
		if amount <= 0 {
			return invalid("metadata %s: write an amount of US dollars as text, such as \"0.25\"", toolbox.MetaDollarsLeft)
		}
		metav1.SetMetaDataAnnotation(&r.ObjectMeta, runs.DollarsAnnotation, string(declared.Dollars(amount)))
	}
	return nil
}

// texts reads a list of agents.
func texts(value any) ([]string, error) {
	list, ok := value.([]any)
	if value != nil && !ok {
		return nil, errors.New("it is no list")
	}
	var out []string
	for _, v := range list {
		text, ok := v.(string)
		if namespace, name, both := strings.Cut(text, "/"); !ok || !both || namespace == "" || name == "" || len(text) > 507 || strings.ContainsAny(text, ", \n") {
			return nil, errors.New("it is no list of agents, written NAMESPACE/NAME")
		}
		out = append(out, text)
	}
	return out, nil
}
