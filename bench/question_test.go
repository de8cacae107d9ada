package bench

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		text, word string
		want       bool
	}{
		{"holds 250 entries", "250", true},
		{"250", "250", true},
		{"holds 2500 entries", "250", false},
		{"holds 1250 entries", "250", false},
		{"0.8, or 0.2.", "0.2", true},
		{"10.8", "0.8", false},
		{"0.85", "0.8", false},
		{"took 0.5 s", "5", false},
		{"took 5.1 s", "5", false},
		{"took 5. Then", "5", true},
		{"up_total 1", "up", false},
		{"setup", "up", false},
		{"2500 and 250", "250", true},
		{"route=/pay;", "/pay", true},
		{"/payments", "/pay", false},
		{"a (b", "(b", true},
		{"", "b", false},
	} {
		require.Equal(t, c.want, holds(c.text, c.word), "%q in %q", c.word, c.text)
	}
}

func TestMissing(t *testing.T) {
	require.Empty(t, missing("orders holds 2.5e+02", []string{"orders", "250|2.5e+02"}))
	require.Equal(t, []string{`"mail"`, `"7|8"`}, missing("orders holds 250", []string{"orders", "mail", "7|8"}))
	require.Empty(t, missing(`{"result":"a=\"x\"\n0.1 @[17]"}`, []string{"0.1", `a="x"`}), "what JSON escapes is read as it was")
}

func TestWithLeavesTheArgumentsAlone(t *testing.T) {
	a := args{"name": "web"}
	require.Equal(t, args{"name": "web", "what": "notes"}, a.with("what", "notes"))
	require.Equal(t, args{"name": "web"}, a)
}

func TestEveryTableHasTwentyQuestions(t *testing.T) {
	texts := map[string]bool{}
	check := func(q question) {
		require.NotEmpty(t, q.facts, q.text)
		require.False(t, texts[q.text], q.text)
		texts[q.text] = true
	}
	for _, q := range monitoringQuestions {
		check(q.question)
		require.NotEmpty(t, q.official, q.text)
	}
	for _, q := range releaseQuestions {
		check(q.question)
		require.NotEmpty(t, q.lines, q.text)
	}
	require.Len(t, monitoringQuestions, 20)
	require.Len(t, releaseQuestions, 20)
}
