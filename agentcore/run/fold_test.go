package run_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

func letters(r model.Request) int {
	n := len(r.System)
	for _, m := range r.Messages {
		n += len(m.Text)
		for _, c := range m.Results {
			n += len(c.Text)
		}
	}
	return n
}

func isFolding(r model.Request) bool { return strings.Contains(r.System, "You keep the notes") }

// reader reads n long files, each once, and then answers.
func reader(t *testing.T, n int, most int) (thinker, *shelf) {
	tools := &shelf{tools: []toolbox.Tool{reads("read")}}
	tools.answer = func(context.Context, toolbox.Tool, toolbox.Call) (toolbox.Outcome, error) {
		return toolbox.Outcome{Text: fmt.Sprintf("file %d: ", len(tools.calls())) + strings.Repeat("lorem ipsum ", 2000)}, nil
	}
	m := hear(func(r model.Request) model.Reply {
		require.NoError(t, wellFormed(r.Messages))
		if isFolding(r) {
			require.Empty(t, r.Tools)
			return says(fmt.Sprintf("notes up to %s", r.Messages[0].Text[strings.LastIndex(r.Messages[0].Text, "file "):][:8]))
		}
		require.LessOrEqual(t, letters(r), most)
		if len(tools.calls()) >= n {
			return says("All read.")
		}
		return says("", calls("", "read", fmt.Sprintf(`{"count":%d}`, len(tools.calls()))))
	})
	return m, tools
}

func TestAFullWindowIsFolded(t *testing.T) {
	var last model.Request
	m, tools := reader(t, 12, 4*32_000)
	r := runner(hear(m, func(r model.Request) {
		if !isFolding(r) {
			last = r
		}
	}), tools)
	r.Agent.Model.Spec.Model = "mistral-small" // 32,000 tokens
	s, events := ask(t, r, "What do the files say?")
	require.Equal(t, v1alpha1.RunCompleted, s.Phase, s.Reason)
	require.Len(t, tools.calls(), 12)
	folds := 0
	for _, e := range events {
		if e.Type == v1alpha1.EventFolded {
			folds++
			require.NotNil(t, e.Usage)
		}
	}
	require.Greater(t, folds, 1)
	require.Contains(t, last.Messages[0].Text, "What do the files say?")
	require.Regexp(t, `<<<DATA [0-9a-f]{16} from your notes>>>\nnotes up to file`, last.Messages[0].Text)
	require.Contains(t, last.Messages[len(last.Messages)-1].Results[0].Text, "file 12: ", "the latest turns stay whole")
	require.Equal(t, int64(100*(13+folds)), s.Usage.Input, "what folding takes counts")
}

func TestTheAgentSaysWhenAndHowToFold(t *testing.T) {
	var asked []model.Request
	m, tools := reader(t, 6, 1<<20)
	r := runner(m, tools)
	r.Agent.Spec.Declarative = &kagent.DeclarativeAgentSpec{Context: &kagent.ContextConfig{Compaction: &kagent.ContextCompressionConfig{
		TokenThreshold: new(int32(15_000)), EventRetentionSize: new(int32(2)),
		Summarizer: &kagent.ContextSummarizerConfig{PromptTemplate: "Be brief."},
	}}}
	r.Summarizer = hear(func(r model.Request) model.Reply { asked = append(asked, r); return says("brief notes") })
	s, _ := ask(t, r, "What do the files say?")
	require.Equal(t, v1alpha1.RunCompleted, s.Phase, s.Reason)
	require.NotEmpty(t, asked)
	require.True(t, strings.HasPrefix(asked[0].System, "Be brief."))
	require.Equal(t, "brief notes", s.Summary)
	require.GreaterOrEqual(t, s.Folded, len(s.Turns)-4)
}

// A model whose window is smaller than we think says so.
func TestAModelThatSaysTooLongIsAskedWithLess(t *testing.T) {
	for name, c := range map[string]struct {
		window int // letters
		phase  v1alpha1.RunPhase
		notes  error
	}{
		"old turns go":               {100_000, v1alpha1.RunCompleted, nil},
		"the latest turn goes":       {20_000, v1alpha1.RunCompleted, nil},
		"and nobody writes notes":    {20_000, v1alpha1.RunCompleted, &model.Error{Kind: model.Unavailable}},
		"not even the question fits": {20, v1alpha1.RunFailed, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m, tools := reader(t, 6, 1<<30)
			r := runner(thinker(func(ctx context.Context, q model.Request, say func(string)) (model.Reply, error) {
				if letters(q) > c.window && !isFolding(q) {
					return model.Reply{}, &model.Error{Kind: model.TooLong, Provider: "openai", Text: "maximum context length"}
				}
				if isFolding(q) && c.notes != nil {
					return model.Reply{}, c.notes
				}
				return m(ctx, q, say)
			}), tools)
			s, _ := ask(t, r, "What do the files say?")
			require.Equal(t, c.phase, s.Phase, s.Reason)
			if c.phase == v1alpha1.RunFailed {
				require.Contains(t, s.Reason, "does not fit the model's window")
				return
			}
			require.Equal(t, "All read.", s.Answer())
			require.Len(t, tools.calls(), 6)
		})
	}
}

func TestAConversationGoesOn(t *testing.T) {
	var first model.Request
	r := runner(hear(func(r model.Request) model.Reply { first = r; return says("Because of the disk.") }), &shelf{})
	log := &record.Memory{}
	s, err := r.Run(t.Context(), run.Question{Run: "r", Text: "And why?", History: []run.Exchange{{Question: "What is down?", Answer: "web."}, {Question: "Since when?"}}}, log, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, "Because of the disk.", s.Answer())
	require.Len(t, s.Turns, 1, "earlier answers are none of this run")
	var texts []string
	for _, m := range first.Messages {
		texts = append(texts, m.Text)
	}
	require.Equal(t, []string{"What is down?", "web.", "Since when?", "(no answer)", "And why?"}, texts)
	require.NoError(t, wellFormed(first.Messages))
	require.Equal(t, s.History, []run.Exchange{{Question: "What is down?", Answer: "web."}, {Question: "Since when?", Answer: "(no answer)"}})
}

func TestAFullRecordEndsTheRun(t *testing.T) {
	m, tools := reader(t, 1000, 1<<30)
	r := runner(m, tools)
	r.Agent.Limits = declared.Limits{}
	r.Agent.Model.Spec.Model = "llama3"
	s, events := ask(t, r, "What do the files say?")
	require.Equal(t, v1alpha1.RunStopped, s.Phase)
	require.Equal(t, "the record of the run is full (1024 KiB); ask for less in one run", s.Reason)
	bytes := 0
	for _, e := range events {
		bytes += record.Size(e)
	}
	require.LessOrEqual(t, bytes, record.MostBytes)
	require.Greater(t, len(tools.calls()), 60, "results are shorter the fuller the record is")
}

func TestALongConversationIsFolded(t *testing.T) {
	var first model.Request
	r := runner(hear(func(r model.Request) model.Reply {
		if isFolding(r) {
			require.Contains(t, r.Messages[0].Text, "Earlier it was asked: Question 0\nIt answered: Answer 0")
			return says("notes on four questions")
		}
		first = r
		return says("Because of the disk.")
	}), &shelf{})
	r.Agent.Spec.Declarative = &kagent.DeclarativeAgentSpec{Context: &kagent.ContextConfig{Compaction: &kagent.ContextCompressionConfig{CompactionInterval: new(int32(3))}}}
	q := run.Question{Run: "r", Text: "And why?"}
	for i := range 4 {
		q.History = append(q.History, run.Exchange{Question: fmt.Sprint("Question ", i), Answer: fmt.Sprint("Answer ", i)})
	}
	log := &record.Memory{}
	s, err := r.Run(t.Context(), q, log, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, "Because of the disk.", s.Answer())
	require.Len(t, first.Messages, 1)
	require.Contains(t, first.Messages[0].Text, "notes on four questions")
	require.Equal(t, []string{"asked", "answered", "asked", "answered", "asked", "answered", "asked", "answered", "asked", "folded", "answered", "ended Completed"}, story(log.Events()))
}
