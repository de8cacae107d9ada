package prometheus

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/monitoring"
)

func over(s *monitoring.Stack) *Backend { return New(Config{Prometheus: Endpoint{URL: s.Prometheus}}) }

func TestReloadIsGatedAndSaysWhatChanged(t *testing.T) {
	s, err := monitoring.Start(t.Context(), monitoring.Options{})
	require.NoError(t, err)
	defer s.Stop()
	rules := filepath.Join(s.Dir, "rules", "own.yml")
	before := func() string {
		out := "old"
		loaded, err := over(s).loaded(t.Context())
		require.NoError(t, err)
		if _, is := loaded.rules["record own:one of group own"]; is {
			out = "new"
		}
		return out
	}
	writeFile(t, rules, "groups: [{name: own, rules: [{record: own:one, expr: vector(1)}]}]")

	mcptest.RequireSteady(t, toolset(over(s)), reload.Name, nil)
	no := &person{Says: "decline"}
	requireRefused(t, writing(t, over(s), no), "prometheus_reload", nil, "denied: the person declined")
	require.Equal(t, "old", before())
	require.Regexp(t, `^Reload Prometheus's configuration: configuration of Prometheus, .*/prometheus.yml

~ read again: the configuration file and every rule file it names

Note: Prometheus has no dry run: .*
Now: the last reload was accepted, at 20\S+
Now: \d+ rules loaded

Accept to make this change`, no.Asked[0])

	yes := &person{Says: "accept"}
	var out ReloadOut
	writing(t, over(s), yes).Call("prometheus_reload", nil).Into(t, &out)
	require.Regexp(t, `^accepted at 20\S+$`, out.Result)
	require.Equal(t, []string{"+ record own:one of group own"}, out.Changed)
	require.Equal(t, "new", before())

	writing(t, over(s), yes).Call("prometheus_reload", nil).Into(t, &out)
	require.Contains(t, out.Result, "; nothing that Prometheus shows of it differs from before, which leaves out secrets")

	late := &person{Says: "accept", First: func() {
		require.Error(t, s.SetRules(t.Context(), "groups: [{name: own, rules: [{record: own:one, expr: vektor(1)}]}]"))
	}}
	requireRefused(t, writing(t, over(s), late), "prometheus_reload", nil, "conflict: what this plan rests on changed between plan and approval")
	requireRefused(t, writing(t, over(s), yes), "prometheus_reload", nil, "invalid: Prometheus refused a part of the new configuration: failed to reload config: one or more errors occurred")
	require.Equal(t, "new", before(), "the rules it had stay")
	require.Contains(t, yes.Asked[2], "Now: the last reload FAILED")

	config := filepath.Join(s.Dir, "prometheus.yml")
	text, err := os.ReadFile(config)
	require.NoError(t, err)
	writeFile(t, config, string(text)+"\nbogus: {password: hunter2}\n")
	a := writing(t, over(s), yes).Call("prometheus_reload", nil)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "invalid: Prometheus refused the new configuration and goes on with the old one: failed to reload config: couldn't load configuration")
	require.Contains(t, a.Text, "field bogus not found")
	require.NotContains(t, a.Text, "hunter2")

	writeFile(t, rules, "groups: []")
	writeFile(t, config, string(text)+"\n  - {job_name: extra, static_configs: [{targets: ['127.0.0.1:1']}]}\n")
	writing(t, over(s), yes).Call("prometheus_reload", nil).Into(t, &out)
	require.Equal(t, []string{"+ scrape job extra", "- record own:one of group own"}, out.Changed)
}

func TestReloadWhereItIsNotAllowed(t *testing.T) {
	t.Parallel()
	s, err := monitoring.Start(t.Context(), monitoring.Options{PrometheusArgs: []string{"--no-web.enable-lifecycle"}})
	require.NoError(t, err)
	defer s.Stop()
	p := &person{Says: "accept"}
	requireRefused(t, writing(t, over(s), p), "prometheus_reload", nil, "denied: this Prometheus does not reload on request: its lifecycle API is not enabled. A person must start it with --web.enable-lifecycle")
	require.Empty(t, p.Asked)
	_, err = over(s).reload(t.Context(), ReloadIn{}, mcpkit.Plan{State: &loaded{}})
	require.ErrorContains(t, err, "A person must start it with --web.enable-lifecycle", "the endpoint itself")
	requireRefused(t, writing(t, New(Config{Prometheus: Endpoint{URL: s.Alertmanager}}), p), "prometheus_reload", nil, "not_found: this backend has no such endpoint")
}
