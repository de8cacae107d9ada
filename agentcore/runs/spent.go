package runs

import (
	"context"
	"strconv"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// spending is what one run of the day took.
type spending struct {
	name    string
	created time.Time
	run.Spent
}

// before says whether a run was asked earlier than another, the same for all
// who look.
func before(at time.Time, name string, otherAt time.Time, other string) bool {
	if at.Equal(otherAt) {
		return name < other
	}
	return at.Before(otherAt)
}

// Spent implements [Store]. A run that is deleted within its day still counts,
// for as long as this process lives.
func (c *Cluster) Spent(ctx context.Context, but string) (run.Spent, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	today := time.Now().UTC().Truncate(24 * time.Hour)
	found := map[string]row{}
	for next := ""; ; {
		rows, more, err := c.page(ctx, next)
		if err != nil {
			return run.Spent{}, told(err)
		}
		for _, r := range rows {
			found[string(r.uid)] = r
		}
		if next = more; next == "" {
			break
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.day.Equal(today) {
		c.day = today
		clear(c.ledger)
	}
	var sum run.Spent
	until := time.Now().Add(24 * time.Hour) // all runs
	for _, r := range found {
		if r.name == but {
			until = r.created
		}
		if !r.created.Before(today) {
			c.ledger[r.uid] = r.spent()
		}
	}
	for _, s := range c.ledger {
		if s.name == but {
			continue
		}
		if before(s.created, s.name, until, but) {
			sum.Runs++
		}
		sum.ToolCalls += s.ToolCalls
		sum.Tokens += s.Tokens
		sum.Cost += s.Cost
	}
	return sum, nil
}

// pageOfRuns bounds one answer of the API server.
const pageOfRuns = "500"

func (c *Cluster) page(ctx context.Context, next string) ([]row, string, error) {
	raw, err := c.on(c.client.Get()).Param("fieldSelector", "spec.agent="+c.agent.Name).Param("limit", pageOfRuns).Param("continue", next).
		SetHeader("Accept", asTable).Do(ctx).Raw()
	if err != nil {
		return nil, "", err
	}
	t, err := decodeTable(raw)
	if err != nil {
		return nil, "", err
	}
	rows, err := rowsOf(t, nil)
	return rows, t.Continue, err
}

// spent reads what the columns of a run say.
func (r row) spent() spending {
	number := func(column string) int64 {
		switch v := r.cells[column].(type) {
		case float64:
			return int64(v)
		case string:
			n, _ := strconv.ParseInt(v, 10, 64)
			return n
		}
		return 0
	}
	amount := func(column string) float64 {
		text, _ := r.cells[column].(string)
		return declared.Amount(v1alpha1.Dollars(text))
	}
	return spending{r.name, r.created, run.Spent{
		ToolCalls: int(number("Calls")),
		Tokens:    number("Input") + number("Output") + number("Cache Read") + number("Cache Write") + number("Asked Tokens"),
		Cost:      amount("USD") + amount("Asked USD"),
	}}
}
