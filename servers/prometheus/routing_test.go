package prometheus

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

const manyWays = `
global: {resolve_timeout: 5m, some_new_thing: {a: b}}
route:
  receiver: default
  a_new_field: [1, 2]
  group_by: [alertname]
  routes:
  - {match: {team: shop}, match_re: {severity: "a|b"}, receiver: old, group_by: ['...'], group_wait: 1m}
  - matchers: ['team="shop"']
    receiver: chat
    routes:
    - {matchers: ['team="core"'], receiver: mail}
  - {matchers: [team="shop", severity="a"], receiver: mail}
  - {matchers: ['team=~".*"']}
  - {matchers: ['team="late"']}
inhibit_rules:
- {source_match: {a: b}, target_match_re: {c: "d|e"}, equal: [f]}
- {source_matchers: ['bad=~"("'], target_matchers: ['a="b"']}
mute_time_intervals:
- {name: night, time_intervals: [{times: [{start_time: "22:00", end_time: "24:00"}]}]}
time_intervals:
- {name: odd, time_intervals: [{weekdays: [someday]}]}
receivers:
- {name: default}
- name: chat
  slack_configs: [{api_url: <secret>, channel: "#oncall"}]
  new_fangled_configs: [{token: <secret>}]
- name: mail
  email_configs: [{to: team@example.com, auth_password: <secret>}]
  webhook_configs: [{url: <secret>}, {url: "http://user:hidden@hooks.example.com/x?key=hidden"}]
- name: old
`

func TestRoutingIsReadAsFarAsItGoes(t *testing.T) {
	r, err := readRouting(manyWays)
	require.NoError(t, err)
	require.Len(t, r.unread, 2)
	require.Contains(t, r.unread[0], "inhibit rule 2 cannot be read: ")
	require.Contains(t, r.unread[1], "a time interval cannot be read: ")
	require.Equal(t, map[string][]string{
		"default": {}, "old": {}, "chat": {"new_fangled", "slack to #oncall"},
		"mail": {"email to team@example.com", "webhook", "webhook to hooks.example.com"},
	}, r.receivers)
	require.Equal(t, []string{
		`route 2.1 {team="core"} can never match: team="core" contradicts team="shop"`,
		`route 3 {severity="a", team="shop"} is never reached: route 1 {severity=~"a|b", team="shop"} before it takes all it would match`,
		`route 5 {team="late"} is never reached: route 4 {team=~".*"} before it takes all it would match`,
	}, r.root.dead(nil))

	ends, _ := r.root.walk(model.LabelSet{"team": "shop", "severity": "b"})
	require.Equal(t, "old", ends[0].receiver)
	require.Equal(t, []string{"..."}, ends[0].groupBy)
	require.Equal(t, []time.Duration{time.Minute, 5 * time.Minute, 4 * time.Hour}, []time.Duration{ends[0].groupWait, ends[0].groupInterval, ends[0].repeatInterval})
	ends, _ = r.root.walk(model.LabelSet{"team": "shop"})
	require.Equal(t, "chat", ends[0].receiver)

	by := r.inhibitions(model.LabelSet{"c": "d", "f": "1"}, []heldAlert{{labels: model.LabelSet{"a": "b"}}, {labels: model.LabelSet{"a": "b", "f": "1", "alertname": "Source"}}})
	require.Len(t, by, 1)
	require.Equal(t, "Source", by[0].by.name())
	require.Equal(t, `1: {a="b"} inhibits {c=~"d|e"}`, by[0].rule)

	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	night := &route{mute: []string{"night"}}
	require.Empty(t, r.quiet(night, noon))
	require.Equal(t, "mute time interval night", r.quiet(night, noon.Add(11*time.Hour)))
	require.Empty(t, r.quiet(&route{active: []string{"odd"}}, noon), "it could not be read")
	require.Equal(t, "outside active time interval night", r.quiet(&route{active: []string{"night"}}, noon))
	require.Equal(t, "until 2026-11-22T00:00:00Z", r.quietUntil(night, noon.Add(11*time.Hour)))
}

func TestRoutingWithoutARouteStillTellsOfAlertsThatFire(t *testing.T) {
	r, err := readRouting("route: {receiver: [not, a, name]}\nreceivers: [{name: a, webhook_configs: [{url: x}]}]")
	require.NoError(t, err)
	require.Nil(t, r.root)
	v := &view{routing: r, now: time.Now()}
	_, err = v.explain(heldAlert{labels: model.LabelSet{"a": "b"}})
	require.ErrorContains(t, err, "unavailable: the routes cannot be followed: the route tree cannot be read: ")
	f, err := v.explain(heldAlert{fingerprint: "1", labels: model.LabelSet{"a": "b"}, receivers: []string{"a"}})
	require.NoError(t, err)
	out := f.answer(v)
	require.Equal(t, "notifies: a", out.Verdict)
	require.Equal(t, [][]string{{"a", "?", "webhook", "?", "?", "?", "?", "?"}}, out.Receivers.Rows)
}

func FuzzRouting(f *testing.F) {
	f.Add(manyWays, "team", "shop")
	f.Add("route: {receiver: a, routes: [null, {}]}", "a", "b")
	f.Add("route: &r {receiver: a, routes: [*r]}", "a", "b")
	f.Add("receivers: [{name: [], x_configs: [[], 1]}, null]", "", "")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		r, err := readRouting(text)
		if err != nil {
			var known *mcpkit.Error
			require.True(t, errors.As(err, &known))
			return
		}
		l := model.LabelSet{model.LabelName(name): model.LabelValue(value)}
		v := &view{routing: r, now: time.Unix(0, 0), held: []heldAlert{{labels: l, fingerprint: "1"}}}
		fate, err := v.explain(heldAlert{labels: l})
		if r.root == nil {
			require.Error(t, err)
			return
		}
		require.NoError(t, err)
		require.NotEmpty(t, fate.ends)
		for _, dead := range r.root.dead(nil) {
			require.False(t, strings.HasPrefix(dead, "route "+fate.ends[0].path+" {"), "reached, and yet: %s", dead)
		}
		fate.answer(v)
	})
}
