package toolbox

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// Defaults of [Options].
const (
	DefaultMaxResultBytes = 24 << 10
	DefaultRefresh        = 5 * time.Minute
	DefaultPatience       = 5 * time.Second
)

// Options configure a [Box]. The zero value of a field takes the default named
// beside it.
type Options struct {
	Version string // of this program, which servers are told

	Ask      Ask                                   // puts what servers ask to a person; nobody can be asked if nil
	AskHere  AskHere                               // asks agents that are declared in the same directory; needed where there are any
	AgentURL func(namespace, name string) string   // where an agent listens; http://NAME.NAMESPACE.svc:8080
	Progress func(t Tool, c Call, progress string) // hears how far a long call has come; nobody

	MaxResultBytes int           // of the text of one outcome; DefaultMaxResultBytes
	Refresh        time.Duration // between two looks at what a server offers; DefaultRefresh
	Patience       time.Duration // that runs have with servers after the box was opened; DefaultPatience
	Logger         *slog.Logger  // what happens besides; none
}

// AskHere asks an agent that runs in this process. The path of c ends with the
// agent that asks.
type AskHere func(ctx context.Context, agent declared.SubAgent, question string, c Call) (Outcome, error)

func (o Options) withDefaults() Options {
	o.MaxResultBytes = cmp.Or(o.MaxResultBytes, DefaultMaxResultBytes)
	o.Refresh = cmp.Or(o.Refresh, DefaultRefresh)
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	if o.AgentURL == nil {
		o.AgentURL = func(namespace, name string) string { return fmt.Sprintf("http://%s.%s.svc:8080", name, namespace) }
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Box is the tools of one agent. Its methods may be called at the same time.
type Box struct {
	options Options
	agent   declared.Agent
	own     string // NAMESPACE/NAME of the agent
	opened  time.Time

	life    context.Context // until Close
	end     context.CancelFunc
	working sync.WaitGroup

	servers []*server
	agents  []*remote
}

// Open begins to connect to the agent's tool servers and returns at once. Those
// that cannot be reached are tried again for as long as the box is open.
func Open(agent declared.Agent, o Options) *Box {
	b := &Box{options: o.withDefaults(), agent: agent, own: agent.Namespace + "/" + agent.Name, opened: time.Now()}
	b.life, b.end = context.WithCancel(context.Background())
	for _, d := range agent.Servers {
		s := newServer(b, d)
		b.servers = append(b.servers, s)
		b.working.Go(s.keep)
	}
	for _, d := range agent.Agents {
		b.agents = append(b.agents, newRemote(b, d))
	}
	return b
}

// Close ends the sessions with all servers. It does not wait for a server that
// does not answer.
func (b *Box) Close() {
	b.end()
	b.working.Wait()
}

// Settle gives what a run would lack a moment to come, before the run begins.
// Servers that did not list all that the Agent names are asked anew, as what
// they lacked may have been granted since; those that offer nothing are waited
// for, but only while the box is new.
func (b *Box) Settle(ctx context.Context) {
	patience, cancel := context.WithDeadline(ctx, b.opened.Add(b.options.Patience))
	defer cancel()
	var settling sync.WaitGroup
	for _, s := range b.servers {
		settling.Go(func() { s.settle(ctx, patience) })
	}
	settling.Wait()
}

// List are the tools on offer, in an order that stays, and what is wrong with
// the others, a line each. The first list waits a moment for servers that are
// slow to answer.
func (b *Box) List(ctx context.Context) (tools []Tool, problems []string) {
	patience, cancel := context.WithDeadline(ctx, b.opened.Add(b.options.Patience))
	defer cancel()
	for _, s := range b.servers {
		s.heardFrom(patience)
	}
	o := b.offer()
	for _, t := range o.tools {
		tools = append(tools, t.Tool)
	}
	return tools, o.problems
}

// offered is a tool with what answers for it.
type offered struct {
	Tool
	server *server
	agent  *remote
}

// offer is what can be called now.
type offer struct {
	tools    []offered
	problems []string
}

// offer puts together what the servers were found to have.
func (b *Box) offer() offer {
	var o offer
	var origins []origin
	at := map[origin]int{}
	add := func(t offered) {
		from := origin{t.Server, t.Remote, t.Agent}
		if i, twice := at[from]; twice { // the Agent names it twice
			o.tools[i].RequireApproval = o.tools[i].RequireApproval || t.RequireApproval
			return
		}
		at[from] = len(origins)
		origins, o.tools = append(origins, from), append(o.tools, t)
	}
	for _, s := range b.servers {
		tools, problems := s.offer()
		o.problems = append(o.problems, problems...)
		for _, t := range tools {
			add(offered{Tool: t, server: s})
		}
	}
	for _, a := range b.agents {
		add(offered{Tool: a.tool(), agent: a})
	}
	names := distinct(origins)
	for i := range o.tools {
		o.tools[i].Name = names[i]
	}
	o.problems = append(o.problems, clashes(origins, names)...)
	return o
}

// strictness orders classes by what they may do.
var strictness = map[Class]int{Read: 0, Write: 1, Destroy: 2}

// find is what t is now, and otherwise why it cannot be called. A tool that may
// do more than when it was listed is not the one whose call was decided on, nor is
// one about which nobody would be asked any more.
func (b *Box) find(t Tool) (offered, string) {
	o := b.offer()
	var names []string
	for _, now := range o.tools {
		names = append(names, now.Name)
		if now.Server != t.Server || now.Remote != t.Remote || now.Agent != t.Agent {
			continue
		}
		if strictness[now.Class] > strictness[t.Class] {
			return offered{}, fmt.Sprintf("%s was not called: its server says now that it is a tool of class %s, and it was listed as one of class %s. Call it again if that is still what you want", t.Name, now.Class, t.Class)
		}
		if t.GatesItself && !now.GatesItself && now.Class != Read {
			return offered{}, fmt.Sprintf("%s was not called: its server does not say any more that it has a person decide about writes. Call it again if that is still what you want", t.Name)
		}
		now.GatesItself = t.GatesItself // who is asked was decided on
		return now, ""
	}
	text := fmt.Sprintf("there is no tool %q, so nothing was called", line(t.Name, nameBytes))
	if near := mcpkit.Nearest(t.Name, names); len(near) > 0 {
		text += "; the nearest names are " + strings.Join(near, ", ")
	}
	return offered{}, text
}

// Call calls a tool that is on offer, and nothing else. The error is the
// context's; what else went wrong is in the outcome.
func (b *Box) Call(ctx context.Context, t Tool, c Call) (Outcome, error) {
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	now, wrong := b.find(t)
	if wrong == "" && !isObject(c.Arguments) {
		wrong = t.Name + " was not called: its arguments are not a JSON object"
	}
	if wrong != "" {
		return Outcome{Text: wrong, Error: true}, nil
	}
	if now.agent != nil {
		return now.agent.call(ctx, now.Tool, c)
	}
	return now.server.call(ctx, now.Tool, c)
}
