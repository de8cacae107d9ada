package helm

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestDiffReleaseOfTwoRevisions(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.0.0")
	s := session(t, granted(t, ns, diffRelease.Rules...), mcpkit.AccessRead, nil)
	a := s.Call("helm_diff_release", map[string]any{"name": "web", "namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "not_found: there is no good revision before revision 1")

	h.put(t, ns, "web", "web", "1.1.0", "--set", "replicas=3,auth.adminPassword=other-NotForYourEyes")
	var out DiffReleaseOut
	a = s.Call("helm_diff_release", map[string]any{"name": "web", "namespace": ns})
	a.Into(t, &out)
	requireNoSecrets(t, a)
	require.Regexp(t, `^revision 1, web-1.0.0, superseded since 20`, out.From)
	require.Regexp(t, `^revision 2, web-1.1.0, deployed since 20`, out.To)
	require.Equal(t, "web-1.0.0 -> web-1.1.0", out.Chart)
	require.Equal(t, "2.4.1 -> 2.5.0", out.AppVersion)
	require.Contains(t, out.Values, "+ replicas: 3")
	require.Equal(t, "1 added, 4 changed", out.Objects)
	require.Contains(t, out.Diff, "~ Deployment/web\n    ~ spec.replicas: 1 -> 3\n")
	require.Contains(t, out.Diff, "+ PodDisruptionBudget/web")
	require.Regexp(t, `~ stringData.admin-password: redacted:[0-9a-f]{8} -> redacted:[0-9a-f]{8}`, out.Diff)
	require.Contains(t, out.Diff, "in each of 4 objects (")

	s.Call("helm_diff_release", map[string]any{"name": "web", "namespace": ns, "from": 2, "to": 1, "resource_type": "deployment"}).Into(t, &out)
	require.Equal(t, "1 changed", out.Objects)
	require.Contains(t, out.Diff, "~ spec.replicas: 3 -> 1")
	require.NotContains(t, out.Diff, "Secret/")
	for want, args := range map[string]map[string]any{
		"has no revision 7; Helm keeps 2, 1":       {"from": 7},
		"invalid: version without chart":           {"version": "1.0.0"},
		"invalid: from and to compare revisions":   {"from": 1, "chart": "shop/web"},
		`invalid: chart "web" is not written`:      {"chart": "web"},
		`not_found: repository shop`:               {"chart": "shop/wub"},
		"invalid: values do not fit the schema of": {"values": map[string]any{"replicas": "many"}},
	} {
		all := map[string]any{"name": "web", "namespace": ns}
		for k, v := range args {
			all[k] = v
		}
		a := s.Call("helm_diff_release", all)
		require.True(t, a.IsError, a.Text)
		require.Contains(t, a.Text, want)
	}
}

func TestDiffReleaseWithAProposedUpgrade(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.0.0", "--set", "auth.adminPassword=mine-NotForYourEyes")
	b := granted(t, ns, diffRelease.Rules...)
	s := session(t, b, mcpkit.AccessRead, nil)
	var out DiffReleaseOut
	events := witnessed(t, b, func() {
		a := s.Call("helm_diff_release", map[string]any{"name": "web", "namespace": ns, "chart": "shop/web", "version": "1.1.0", "values": map[string]any{"replicas": 4}})
		a.Into(t, &out)
		requireNoSecrets(t, a)
	})
	for _, e := range events {
		require.False(t, writes(e), "%s %s", e.Verb, e.RequestURI)
	}
	require.Equal(t, "web-1.0.0 -> web-1.1.0", out.Chart)
	require.Equal(t, []string{"+ replicas: 4"}, out.Values)
	require.Contains(t, out.Diff, "~ Deployment/web\n    ~ spec.replicas: 1 -> 4\n")
	require.NotContains(t, out.Diff, "admin-password") // set before, so it stays

	out = DiffReleaseOut{}
	s.Call("helm_diff_release", map[string]any{"name": "web", "namespace": ns, "values": map[string]any{"page": "New.", "pagge": 1}}).Into(t, &out)
	require.Empty(t, out.Chart)
	require.Equal(t, "2 changed, 2 unchanged", out.Objects)
	require.Contains(t, out.Findings, `value "pagge" is unknown to chart web and changes nothing; did you mean page?`)

	s.Call("helm_diff_release", map[string]any{"name": "web", "namespace": ns, "values": map[string]any{}}).Into(t, &out)
	require.Contains(t, out.Findings, "nothing differs")
	require.Equal(t, "4 unchanged", out.Objects)
}

func TestDiffReleaseNeedsTheChartForSubcharts(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	helm3(t).put(t, ns, "all", "umbrella", "1.0.0")
	s := reading(t)
	a := s.Call("helm_diff_release", map[string]any{"name": "all", "namespace": ns, "values": map[string]any{"a": 1}})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "has subcharts, which a release does not keep: name chart as REPOSITORY/CHART, and version 1.0.0")
	var out DiffReleaseOut
	s.Call("helm_diff_release", map[string]any{"name": "all", "namespace": ns, "chart": "shop/umbrella"}).Into(t, &out)
	require.Contains(t, out.Findings, "nothing differs")
}
