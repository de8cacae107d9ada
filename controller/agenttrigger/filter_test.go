package agenttrigger

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestFilters(t *testing.T) {
	t.Parallel()
	a := Alert{
		Status: firing, Labels: map[string]string{"severity": "critical", "namespace": "shop"}, Annotations: map[string]string{"runbook": "https://example.com"},
		StartsAt: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC), Fingerprint: "f00d", GeneratorURL: "http://prometheus",
	}
	for expression, want := range map[string]bool{
		`alert.labels.severity == "critical"`:                        true,
		`alert.labels["namespace"] in ["kube-system"]`:               false,
		`alert.labels.namespace.matches("^sh")`:                      true,
		`"team" in alert.labels`:                                     false,
		`has(alert.labels.team) && alert.labels.team == "x"`:         false,
		`alert.labels.?team.orValue("shop") == "shop"`:               true,
		`alert.annotations.runbook.lowerAscii().contains("example")`: true,
		`alert.startsAt < timestamp("2026-11-21T20:00:00Z")`:         true,
		`alert.endsAt > alert.startsAt`:                              false,
		`alert.status == "firing" && alert.fingerprint == "f00d"`:    true,
		`alert.generatorURL.startsWith("https:")`:                    false,
		`alert.labels.exists(name, name.startsWith("name"))`:         true,
	} {
		program, err := compile(expression)
		require.NoError(t, err, expression)
		got, err := passes(t.Context(), program, a)
		require.NoError(t, err, expression)
		require.Equal(t, want, got, expression)
	}
}

func TestAFilterThatCannotBeEvaluatedLetsNothingThrough(t *testing.T) {
	t.Parallel()
	a := Alert{Status: firing, Labels: map[string]string{"a": strings.Repeat("a", 2000)}}
	for expression, text := range map[string]string{
		`alert.labels.team != "shop"`: "no such key: team",
		`[1,2,3,4,5,6,7,8,9,0].all(a, [1,2,3,4,5,6,7,8,9,0].all(b, [1,2,3,4,5,6,7,8,9,0].all(c, [1,2,3,4,5,6,7,8,9,0].all(d, [1,2,3,4,5,6,7,8,9,0].all(e, a+b+c+d+e < 100)))))`: "cost limit exceeded",
	} {
		program, err := compile(expression)
		require.NoError(t, err)
		ok, err := passes(t.Context(), program, a)
		require.False(t, ok)
		require.ErrorContains(t, err, text)
	}
}

func TestWhatIsNoFilterIsExplained(t *testing.T) {
	t.Parallel()
	for expression, text := range map[string]string{
		`alert.labels.severity = "critical"`:       "spec.filter: column 23: Syntax error: token recognition error at: '= '",
		`alert.label.severity == "critical"`:       "spec.filter: column 6: undefined field 'label'",
		`true &&` + "\n" + ` alerts.status == "x"`: "spec.filter: line 2, column 2: undeclared reference to 'alerts'",
		`alert.labels.severity`:                    "spec.filter: it comes to a value of type string; write a condition",
		`alert.labels.severity == 3`:               "spec.filter: column 23: found no matching overload for '_==_'",
	} {
		_, err := compile(expression)
		require.ErrorContains(t, err, text)
	}
}

func TestAFilterIsCompiledOnce(t *testing.T) {
	t.Parallel()
	var f filters
	none, err := f.program("")
	require.NoError(t, err)
	require.Nil(t, none)
	first, err := f.program(`alert.status == "firing"`)
	require.NoError(t, err)
	again, err := f.program(`alert.status == "firing"`)
	require.NoError(t, err)
	require.Same(t, first, again)
}

func FuzzAFilter(f *testing.F) {
	f.Add(`alert.labels.severity == "critical"`)
	f.Add(`alert.labels.exists(k, alert.labels[k].matches("(a+)+$"))`)
	f.Add(strings.Repeat("(", 300) + "true" + strings.Repeat(")", 300))
	a := Alert{Status: firing, Labels: map[string]string{"severity": "critical"}}
	f.Fuzz(func(t *testing.T, expression string) {
		if len(expression) > 4096 {
			return
		}
		program, err := compile(expression)
		if err != nil {
			return
		}
		ok, err := passes(t.Context(), program, a)
		require.False(t, ok && err != nil)
	})
}
