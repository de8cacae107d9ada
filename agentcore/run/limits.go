package run

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// Room that is kept for the last answer of a run that reaches a limit.
const (
	lastAnswer     = 1024             // tokens that it may have
	leastAnswer    = 256              // tokens below which it is not asked for
	lastAnswerTime = 30 * time.Second // at most a tenth of the run's duration
)

// errDuration is why a context ends when the run's time is up.
var errDuration = errors.New("the run's time is up")

// reached is the limit that keeps the model from going on; empty if none does.
func (w *work) reached(ctx context.Context, r model.Request) (string, error) {
	l := w.Agent.Limits
	if l.Cost != 0 || l.CostPerDay != 0 {
		if _, known := w.Agent.Prices.Cost(w.state.Usage); !known {
			return "", &ending{v1alpha1.RunFailed, fmt.Sprintf("a policy limits what the agent may cost, and the price of model %s is not known; add it to the price table, or limit tokens instead", w.Agent.Model.Spec.Model)}
		}
	}
	if err := w.hearSpent(ctx); err != nil {
		return "", err
	}
	switch n := len(w.state.Turns); {
	case l.Turns > 0 && n >= l.Turns:
		return fmt.Sprintf("the limit of %d turns is reached", l.Turns), nil
	case w.callsRefused():
		return w.callsReason(), nil
	case w.state.repeats >= repeatsMost:
		return fmt.Sprintf("the same tool call came to the same result %d times", w.state.repeats), nil
	case w.timeLeft(false) <= 0:
		return w.timeReason(), nil
	case w.spent != nil && l.RunsPerDay != 0 && n == 0 && w.spent.Runs >= l.RunsPerDay:
		return "", &ending{v1alpha1.RunStopped, fmt.Sprintf("the limit of %d runs a day is reached; days are of UTC", max(0, l.RunsPerDay))}
	}
	if left, reason := w.tokensLeft(); reason != "" && left < w.need(r) {
		return reason, nil
	}
	return "", nil
}

// need is how many tokens the next answer takes at least. After the first, one
// more is kept room for, so that what is known can be told.
func (w *work) need(r model.Request) int64 {
	next := int64(size(r))
	if len(w.state.Turns) == 0 {
		return next + leastAnswer
	}
	return 2*next + lastAnswer
}

// tokensLeft is how many tokens the model may still read and write, by the
// limits of tokens and of cost, and which of them is the tightest.
func (w *work) tokensLeft() (int64, string) {
	tokens, dollars := w.bounds()
	left, reason := int64(math.MaxInt64), ""
	for _, b := range tokens {
		if rest := int64(b.left); rest < left {
			left, reason = rest, b.reason
		}
	}
	for _, b := range dollars {
		if rest := w.worth(b.left); rest < left {
			left, reason = rest, b.reason
		}
	}
	return left, reason
}

// remainder is a limit of tokens or of US dollars: what is left of it, and what is
// said when that is nothing.
type remainder struct {
	left   float64
	reason string
}

// bounds are the limits that the run is held to. What agents take that it asks
// counts as its own.
func (w *work) bounds() (tokens, dollars []remainder) {
	l, left, asked := w.Agent.Limits, w.question.Left, w.state.Asked
	used := float64(total(w.state.Usage) + asked.Tokens)
	cost, _ := w.Agent.Prices.Cost(w.state.Usage)
	cost += declared.Amount(asked.CostUSD)
	others := ""
	if asked.Tokens > 0 {
		others = fmt.Sprintf("; agents that were asked took %d tokens of what the run took", asked.Tokens)
	}
	add := func(to *[]remainder, limit, taken float64, format string) {
		if limit != 0 {
			*to = append(*to, remainder{limit - taken, fmt.Sprintf(format, max(0, limit)) + others})
		}
	}
	add(&tokens, float64(l.Tokens), used, "the limit of %.0f tokens is reached")
	add(&tokens, float64(left.Tokens), used, "the %.0f tokens are used up that whoever asked had left")
	add(&dollars, l.Cost, cost, "the limit of $%.4g is reached")
	add(&dollars, left.Dollars, cost, "the $%.4g are used up that whoever asked had left")
	if w.spent != nil {
		add(&tokens, float64(l.TokensPerDay), float64(w.spent.Tokens)+used, "the agent's limit of %.0f tokens a day is reached; days are of UTC")
		add(&dollars, l.CostPerDay, w.spent.Cost+cost, "the agent's limit of $%.4g a day is reached; days are of UTC")
	}
	return tokens, dollars
}

// share is what one of n agents may take that are asked at the same time: an
// equal part of what is left, but for what the run needs to tell what it knows.
func (w *work) share(n int) toolbox.Left {
	tokens, dollars := w.bounds()
	var out toolbox.Left
	if len(tokens)+len(dollars) == 0 {
		return out
	}
	need := float64(w.need(w.request()))
	for _, b := range tokens {
		part := max(1, int64((b.left-need)/float64(n)))
		if out.Tokens == 0 || part < out.Tokens {
			out.Tokens = part
		}
	}
	for _, b := range dollars {
		part := max(leastDollars, (b.left-need*w.each())/float64(n))
		if out.Dollars == 0 || part < out.Dollars {
			out.Dollars = part
		}
	}
	return out
}

// leastDollars is what is written for nothing, which would be no limit.
const leastDollars = 1e-6

// worth is how many tokens of this run's kind that many US dollars buy.
func (w *work) worth(dollars float64) int64 {
	each := w.each()
	if each <= 0 {
		return math.MaxInt64
	}
	return int64(min(dollars/each, math.MaxInt64/4))
}

// each is what a token of this run's kind costs, in US dollars. What the model
// has read and written so far says that; before that, they are taken for those
// that it reads.
func (w *work) each() float64 {
	p := w.Agent.Prices
	each := max(p.Input, p.Output, p.CacheRead, p.CacheWrite) / 1e6
	if n := len(w.state.Turns); n > 0 {
		last := w.state.Turns[n-1].Usage
		if cost, _ := p.Cost(last); cost > 0 && total(last) > 0 {
			each = cost / float64(total(last))
		}
	} else if p.Input > 0 {
		each = p.Input / 1e6
	}
	return each
}

func total(u v1alpha1.TokenUsage) int64 {
	return u.Input + u.Output + u.CacheRead + u.CacheWrite
}

// hearSpent asks what the other runs of the day took, if a limit is about it.
func (w *work) hearSpent(ctx context.Context) error {
	l := w.Agent.Limits
	if l.RunsPerDay == 0 && l.ToolCallsPerDay == 0 && l.TokensPerDay == 0 && l.CostPerDay == 0 {
		return nil
	}
	if w.Spent == nil {
		return &ending{v1alpha1.RunFailed, "a policy limits what the agent may take in a day, and this program does not keep count of it"}
	}
	spent, err := w.Spent(ctx)
	switch {
	case err == nil:
		w.spent = &spent
	case ctx.Err() != nil:
		return ctx.Err()
	case w.spent == nil: // otherwise what was heard last will do
		return &ending{v1alpha1.RunFailed, "what the agent has taken today cannot be found out, and a policy limits it: " + err.Error()}
	}
	return nil
}

// mostTokens bounds an answer so that no limit is passed; 0 leaves it to the
// model's configuration.
func (w *work) mostTokens(r model.Request) int {
	left, reason := w.tokensLeft()
	if reason == "" {
		return 0
	}
	left -= int64(size(r))
	if configured := w.configuredTokens(); left > int64(max(configured, 32<<10)) {
		return 0
	} else if configured > 0 {
		left = min(left, int64(configured))
	}
	return int(max(left, leastAnswer))
}

// lastTokens bounds the last answer of a run that reached a limit; false if
// there is room for none.
func (w *work) lastTokens(r model.Request) (int, bool) {
	left, _ := w.tokensLeft()
	left -= int64(size(r))
	if left < leastAnswer || w.timeLeft(true) <= 0 {
		return 0, false
	}
	most := int64(4 * lastAnswer)
	if configured := w.configuredTokens(); configured > 0 {
		most = min(most, int64(configured))
	}
	return int(min(left, most)), true
}

// configuredTokens is the longest answer as the ModelConfig has it, 0 if it
// says nothing.
func (w *work) configuredTokens() int {
	s := w.Agent.Model.Spec
	switch {
	case s.Anthropic != nil && s.Anthropic.MaxTokens != nil:
		return int(*s.Anthropic.MaxTokens)
	case s.OpenAI != nil && s.OpenAI.MaxTokens != nil:
		return int(*s.OpenAI.MaxTokens)
	case s.OpenAI != nil && s.OpenAI.MaxCompletionTokens != nil:
		return int(*s.OpenAI.MaxCompletionTokens)
	case s.AzureOpenAI != nil && s.AzureOpenAI.MaxTokens != nil:
		return int(*s.AzureOpenAI.MaxTokens)
	}
	return 0
}

// callsLeft is how many calls may be made when so many have been.
func (w *work) callsLeft(made int) int {
	l, left := w.Agent.Limits, math.MaxInt
	if l.ToolCalls != 0 {
		left = l.ToolCalls - made
	}
	if l.ToolCallsPerDay != 0 && w.spent != nil {
		left = min(left, l.ToolCallsPerDay-w.spent.ToolCalls-made)
	}
	return left
}

func (w *work) callsReason() string {
	l := w.Agent.Limits
	if l.ToolCalls != 0 && (l.ToolCallsPerDay == 0 || w.state.ToolCalls >= l.ToolCalls) {
		return fmt.Sprintf("the limit of %d tool calls is reached", max(0, l.ToolCalls))
	}
	return fmt.Sprintf("the agent's limit of %d tool calls a day is reached; days are of UTC", max(0, l.ToolCallsPerDay))
}

// callsRefused reports whether the last answer asked for more calls than there
// may be.
func (w *work) callsRefused() bool {
	n := len(w.state.Turns)
	if n == 0 {
		return false
	}
	for _, c := range w.state.Turns[n-1].Calls {
		if c.Outcome == outcomeLimit {
			return true
		}
	}
	return false
}

// timeLeft is how long the run may still take. Some of it is kept for the last
// answer.
func (w *work) timeLeft(last bool) time.Duration {
	most := w.Agent.Limits.Duration
	if most <= 0 {
		return math.MaxInt64
	}
	if !last {
		most -= min(lastAnswerTime, most/10)
	}
	return most - w.state.Active(time.Now())
}

func (w *work) timeReason() string {
	return fmt.Sprintf("the limit of %s is reached", w.Agent.Limits.Duration)
}

// timed is ctx for as long as the run may take.
func (w *work) timed(ctx context.Context, last bool) (context.Context, context.CancelFunc) {
	left := w.timeLeft(last)
	if left == math.MaxInt64 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeoutCause(ctx, left, errDuration)
}

func (w *work) approvalTimeout() time.Duration {
	if t := w.Agent.Limits.ApprovalTimeout; t > 0 {
		return t
	}
	return time.Hour
}
