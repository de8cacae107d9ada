package toolbox

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Keys of the metadata of a message from one agent to another, and of the task
// that comes of it.
const (
	MetaPath        = "toolcrib.dev/path"         // the agents above the one that is asked, outermost first, as NAMESPACE/NAME
	MetaAccess      = "toolcrib.dev/access"       // the most that it may do for them; what its own policy says if absent
	MetaTokensLeft  = "toolcrib.dev/tokens-left"  // the most tokens that it may take for them, a number
	MetaDollarsLeft = "toolcrib.dev/dollars-left" // the most US dollars that it may take for them, as text
	MetaUsage       = "toolcrib.dev/usage"        // what it took by now, an AskedUsage
)

// MaxDepth is how many agents may stand above one that is asked.
const MaxDepth = 5

// accessAnnotation says what an agent or a server does to the world.
const accessAnnotation = "toolcrib.dev/access"

// remote is another agent, used as a tool.
type remote struct {
	declared.SubAgent
	box      *Box
	id       string // NAMESPACE/NAME
	isolated bool   // each question begins a conversation

	mu     sync.Mutex
	link   *link                 // nil until it is needed
	asking map[string]a2a.TaskID // by conversation, tasks that wait for an answer of ours
}

func newRemote(b *Box, d declared.SubAgent) *remote {
	r := &remote{SubAgent: d, box: b, id: d.Namespace + "/" + d.Name, asking: map[string]a2a.TaskID{}}
	if b.agent.Spec.Declarative == nil {
		return r
	}
	for _, t := range b.agent.Spec.Declarative.Tools {
		if t.Agent != nil && t.Agent.Name == d.Name && cmp.Or(t.Agent.Namespace, b.agent.Namespace) == d.Namespace {
			r.isolated = t.IsolateSessions != nil && *t.IsolateSessions
		}
	}
	return r
}

var questionSchema = json.RawMessage(`{"additionalProperties":false,"properties":{"question":{"description":"what the agent is asked, with everything it has to know: it sees nothing of this conversation","type":"string"}},"required":["question"],"type":"object"}`)

// tool is the agent as a tool. It writes, unless whoever looks after it says that
// it does not; it has people decide by its own rules.
func (r *remote) tool() Tool {
	var b strings.Builder
	fmt.Fprintf(&b, "Asks the agent %s and waits for its answer.", r.id)
	if text := strings.TrimSpace(r.Spec.Description); text != "" {
		b.WriteString(" " + text)
	}
	if d := r.Spec.Declarative; d != nil && d.A2AConfig != nil {
		for _, s := range d.A2AConfig.Skills {
			fmt.Fprintf(&b, "\n- %s: %s", s.Name, line(cmp.Or(s.Description, "no description"), whyBytes))
		}
	}
	class := Write
	if r.Annotations[accessAnnotation] == string(Read) {
		class = Read
	}
	return Tool{
		Server: r.id, Remote: r.Name, Description: cut(mcpkit.Clean(b.String()), maxDescription), Schema: questionSchema,
		Class: class, GatesItself: true, Agent: true,
	}
}

// call asks the agent.
func (r *remote) call(ctx context.Context, t Tool, c Call) (Outcome, error) {
	question, path, wrong := r.prepare(c)
	if wrong != "" {
		return Outcome{Error: true, Text: t.Name + " was not asked: " + wrong}, nil
	}
	c.Path = path
	if !r.Here {
		return r.ask(ctx, t, c, question)
	}
	if r.box.options.AskHere == nil {
		return Outcome{Error: true, Text: fmt.Sprintf("%s was not asked: agent %s is declared here, and nothing runs it", t.Name, r.id)}, nil
	}
	o, err := r.box.options.AskHere(ctx, r.SubAgent, question, c)
	o.Text = bounded(mcpkit.Clean(o.Text), r.box.options.MaxResultBytes)
	return o, err
}

// prepare is what the agent is asked, and the agents above it. It refuses what
// would never end: an agent that is asked on its own behalf, or too far down.
func (r *remote) prepare(c Call) (question string, path []string, wrong string) {
	var in struct{ Question string }
	if err := json.Unmarshal(c.Arguments, &in); err != nil || strings.TrimSpace(in.Question) == "" {
		return "", nil, "it needs a question, as a text"
	}
	path = append(slices.Clone(c.Path), r.box.own)
	way := strings.Join(append(slices.Clone(path), r.id), " -> ")
	switch {
	case slices.Contains(path, r.id):
		return "", nil, "the question would go round in a circle (" + way + "). Answer with what is known"
	case len(path) > MaxDepth:
		return "", nil, fmt.Sprintf("more than %d agents would stand above it (%s). Answer with what is known", MaxDepth, way)
	}
	return in.Question, path, ""
}

// message is the question as it is sent. Asked again after a restart it is the
// same message, in the same conversation.
func (r *remote) message(c Call, question string) *a2a.Message {
	m := a2a.NewMessage(a2a.MessageRoleUser, a2a.NewTextPart(question))
	path := []any{}
	for _, above := range c.Path {
		path = append(path, above)
	}
	m.Metadata = map[string]any{MetaPath: path, mcpkit.MetaAgent: r.box.own}
	if c.Access != "" {
		m.Metadata[MetaAccess] = string(c.Access)
	}
	if c.Left.Tokens > 0 {
		m.Metadata[MetaTokensLeft] = c.Left.Tokens
	}
	if c.Left.Dollars > 0 {
		m.Metadata[MetaDollarsLeft] = string(declared.Dollars(c.Left.Dollars))
	}
	if c.Run == "" {
		return m
	}
	m.Metadata[mcpkit.MetaRun] = c.Run
	m.ID = derived(r.box.own, c.Run, r.id, c.ID)
	if r.isolated {
		return m
	}
	m.ContextID = derived(r.box.own, c.Run, r.id)
	r.mu.Lock()
	defer r.mu.Unlock()
	m.TaskID = r.asking[m.ContextID]
	return m
}

// derived is a name that follows from parts, and that nobody meets by accident.
func derived(parts ...string) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", parts)))
	return hex.EncodeToString(sum[:16])
}

// remember keeps which task of a conversation waits for an answer of ours, or
// that none does.
func (r *remote) remember(conversation string, task a2a.TaskID) {
	const most = 1000
	r.mu.Lock()
	defer r.mu.Unlock()
	if task == "" {
		delete(r.asking, conversation)
	} else if conversation != "" && len(r.asking) < most {
		r.asking[conversation] = task
	}
}

// base is where the agent listens.
func (r *remote) base() (*url.URL, error) {
	u, err := url.Parse(r.box.options.AgentURL(r.Namespace, r.Name))
	if err != nil || u.Host == "" {
		return nil, fmt.Errorf("agent %s has no URL of http or https", r.id)
	}
	return u, nil
}
