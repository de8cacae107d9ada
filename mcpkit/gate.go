package mcpkit

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// GateMode says who decides about a write.
type GateMode string

// The gates.
const (
	GateAsk      GateMode = "ask"      // the person at the client, by elicitation
	GateApproval GateMode = "approval" // whoever the cluster lets decide Approvals
	GateOff      GateMode = "off"      // nobody; must be asked for in full
)

// errAsk ends a call's first round: the answer is a question to the person.
var errAsk = errors.New("a person must decide first")

// askTTL is how long a person may take to decide.
const askTTL = 15 * time.Minute

// planBytes bounds what a person is shown of a plan; the whole is in its hash.
const planBytes = 8 << 10

const inputName = "approve"

// gate stands before every write. It keeps no state between rounds but the
// decisions already used: what it asked travels with the client, signed, so
// that any replica with the same key can finish.
type gate struct {
	mode      GateMode
	approvals Approvals
	server    string
	key       []byte
	now       func() time.Time

	mu   sync.Mutex
	used map[string]time.Time // nonce to expiry
}

func newGate(o Options) *gate {
	return &gate{mode: o.Gate, approvals: o.Approvals, server: o.Name, key: o.Key, now: o.Now, used: map[string]time.Time{}}
}

// asked is what a question promises: this very plan, once, until it expires.
type asked struct {
	Hash    string    `json:"h"`
	Nonce   string    `json:"n"`
	Expires time.Time `json:"e"`
}

// decide returns nil when the write may go on, errAsk when a person has to be
// asked first, and otherwise why not.
func (g *gate) decide(ctx context.Context, c *Call) error {
	switch {
	case c.plan.Diff == "":
		c.verdict = "no change"
		return nil
	case g.mode == GateOff && c.gateRequired():
		c.verdict = "cannot ask"
		return Errorf(Denied, "the caller leaves it to this server to have a person decide about each write, and this server lets writes through without asking. Nothing was changed. The caller must list the tools anew, and have a person decide itself")
	case g.mode == GateOff:
		c.verdict = "gate off"
		return nil
	case g.mode == GateApproval:
		return g.consume(ctx, c)
	case c.req.Params.RequestState != "":
		return g.answer(c)
	case !canElicit(c.req):
		c.verdict = "cannot ask"
		return Errorf(Denied, "a person must approve each write, and this client cannot ask one (no elicitation). Nothing was changed. What would change: %s", c.plan)
	}
	c.verdict = "asked"
	return errAsk
}

// question asks the person at the client about the call's plan.
func (g *gate) question(c *Call) *mcp.CallToolResult {
	shown, _ := cutText(c.plan.String(), planBytes)
	state := g.sign(asked{
		Hash:    c.planHash,
		Nonce:   rand.Text(),
		Expires: g.now().Add(askTTL),
	})
	return &mcp.CallToolResult{
		RequestState: state,
		InputRequests: mcp.InputRequestMap{inputName: &mcp.ElicitParams{
			Mode:            "form",
			Message:         fmt.Sprintf("%s: %s\n\nAccept to make this change, decline to leave everything as it is.", c.tool.Title, shown),
			RequestedSchema: json.RawMessage(`{"type":"object","properties":{}}`),
		}},
	}
}

// answer checks what came back for a question: the state is ours and fresh, the
// person accepted, and the plan is still the one shown.
func (g *gate) answer(c *Call) error {
	promise, err := g.verify(c.req.Params.RequestState)
	if err != nil {
		c.verdict = "bad state"
		return err
	}
	reply, _ := c.req.Params.InputResponses[inputName].(*mcp.ElicitResult)
	if reply == nil || reply.Action != "accept" {
		c.verdict = "declined"
		return Errorf(Denied, "the person declined. Nothing was changed; do not try the same again without being asked to")
	}
	if promise.Hash != c.planHash {
		c.verdict = "stale"
		return Errorf(Conflict, "what this plan rests on changed between plan and approval, so nothing was done. Call again to have the new plan approved: %s", c.plan)
	}
	if !g.useOnce(promise) {
		c.verdict = "replayed"
		return Errorf(Denied, "this approval was used already. Nothing was changed; call again to ask anew")
	}
	c.verdict = "accepted"
	return nil
}

func (g *gate) useOnce(p asked) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for nonce, expires := range g.used {
		if now.After(expires) {
			delete(g.used, nonce)
		}
	}
	if _, used := g.used[p.Nonce]; used {
		return false
	}
	g.used[p.Nonce] = p.Expires
	return true
}

func (g *gate) sign(p asked) string {
	body := mustJSON(p)
	return base64.RawURLEncoding.EncodeToString(body) + "." + base64.RawURLEncoding.EncodeToString(g.mac(body))
}

func (g *gate) mac(body []byte) []byte {
	m := hmac.New(sha256.New, g.key)
	m.Write([]byte("gate\x00"))
	m.Write(body)
	return m.Sum(nil)
}

// verify opens what sign closed.
func (g *gate) verify(state string) (asked, error) {
	forged := Errorf(Denied, "the request state is not one this server gave out. Nothing was changed; call again to ask anew")
	head, tail, _ := strings.Cut(state, ".")
	body, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return asked{}, forged
	}
	sum, err := base64.RawURLEncoding.DecodeString(tail)
	if err != nil || !hmac.Equal(sum, g.mac(body)) {
		return asked{}, forged
	}
	var p asked
	if err := json.Unmarshal(body, &p); err != nil {
		return asked{}, forged
	}
	if g.now().After(p.Expires) {
		return asked{}, Errorf(Denied, "the question expired after %s. Nothing was changed; call again to ask anew", askTTL)
	}
	return p, nil
}

func canElicit(req *mcp.CallToolRequest) bool {
	c := req.ClientCapabilities()
	if c == nil || c.Elicitation == nil {
		return false
	}
	return c.Elicitation.Form != nil || c.Elicitation.URL == nil // neither means form, for older clients
}
