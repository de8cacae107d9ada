package run_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

const githubToken = "ghp_0123456789abcdefghijABCDEFGHIJ012345"

func TestQuestionsWithoutSecrets(t *testing.T) {
	for asked, kept := range map[string]string{
		"Why is web in shop not healthy?":                           "Why is web in shop not healthy?",
		"Is Secret shop/db-credentials mounted?\n\tPod web-0.":      "Is Secret shop/db-credentials mounted?\n\tPod web-0.",
		"Does " + githubToken + " still work?":                      "Does redacted:00000000 still work?",
		"postgres://app:hunter2@db:5432/shop fails":                 "postgres://redacted:00000000@db:5432/shop fails",
		"PASSWORD=abcdefg and TOKEN=hijklmn":                        "PASSWORD=redacted:00000000 and TOKEN=redacted:00000000",
		"Why is the env PASSWORD=redacted:1f2e3d4c in both pods?":   "Why is the env PASSWORD=redacted:1f2e3d4c in both pods?",
		"Is it " + githubToken + ", or what was redacted:1f2e3d4c?": "Is it redacted:00000000, or what was redacted:1f2e3d4c?",
	} {
		require.Equal(t, kept, run.WithoutSecrets(asked))
		require.Equal(t, kept, run.WithoutSecrets(kept), "twice changes nothing")
		require.Equal(t, strings.Contains(kept, "00000000"), run.HasTakenOut(kept))
	}
}

// TestWhatAPersonTypesIsKeptWithoutSecrets holds that neither the record nor the
// model has a credential that somebody typed, that both the model and the person
// are told, and that a process that goes on shows the model the same.
func TestWhatAPersonTypesIsKeptWithoutSecrets(t *testing.T) {
	var shown []string
	m := hear(script(says("Yes."), says("", calls("a", "get", "{}")), says("It works.")), func(r model.Request) { shown = append(shown, r.Messages[2].Text) })
	r := runner(m, &shelf{tools: []toolbox.Tool{reads("get")}})
	log := memory()
	q := run.Question{Run: "run-1", Text: "Does " + githubToken + " work?", History: []run.Exchange{{Question: "And " + githubToken + "?", Answer: "Yes."}}}
	s, err := r.Run(t.Context(), q, log, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, v1alpha1.RunCompleted, s.Phase)
	require.Equal(t, "It works.", s.Answer())
	require.Equal(t, run.TakenOut, s.Reason, "the person is told")
	record, err := json.Marshal(log.Events())
	require.NoError(t, err)
	require.NotContains(t, string(record), githubToken)
	require.Len(t, shown, 2)
	require.Equal(t, shown[0], shown[1])
	require.True(t, strings.HasPrefix(shown[0], "Does redacted:00000000 work?\n\nWhat looked like a credential was taken out of this question"), shown[0])

	events := log.Events()
	again := memory()
	require.NoError(t, again.Append(t.Context(), events[:len(events)-2]...)) // as a process leaves it that is killed
	_, err = r.Run(t.Context(), q, again, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, shown[0], shown[2])
}

var mark = regexp.MustCompile(`redacted:[0-9a-f]{8}`)

func FuzzWithoutSecrets(f *testing.F) {
	f.Add("PASSWORD=" + githubToken + " https://a:b@c/?token=x")
	f.Add("{\"password\":\"x\",\"data\":\"eyJhIjoxfQ==\"}")
	f.Add("-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----")
	f.Fuzz(func(t *testing.T, question string) {
		for _, mark := range mark.FindAllString(run.WithoutSecrets(question), -1) {
			if !strings.Contains(question, mark) {
				require.Equal(t, "redacted:00000000", mark, "nothing in it is of this process alone")
			}
		}
	})
}
