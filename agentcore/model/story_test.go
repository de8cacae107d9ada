package model_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
)

// story asks two tools at once, quotes what one returned, and is done.
const story = `
rules:
- name: look
  when: {calls: 0, offered: [k8s_get_pod_logs, k8s_ping]}
  say: "Reading the log of the pod you mean …"
  call:
  - tool: k8s_get_pod_logs
    arguments: {pod_name: checkout-1, tail_lines: 20}
  - tool: k8s_ping
- name: tell
  when:
    results:
    - tool: k8s_get_pod_logs
      matches: 'lookup (?P<host>\S+): no such host'
    - tool: k8s_ping
      matches: 'not reachable'
  say: "The host ${host} does not exist. 追加してください。"
`

func TestATurnWithCallsAndOneWithout(t *testing.T) {
	t.Parallel()
	for name := range wires {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t, story)
			m := open(t, wire(t, name, server.URL), model.Options{})
			r := ask("Why does checkout crash?")
			var heard []string
			first, err := m.Generate(t.Context(), r, func(text string) { heard = append(heard, text) })
			require.NoError(t, err)
			require.Equal(t, "Reading the log of the pod you mean …", first.Text)
			require.Equal(t, first.Text, strings.Join(heard, ""))
			require.Greater(t, len(heard), 1)
			require.Equal(t, model.StopCalls, first.Stop)
			require.Len(t, first.Calls, 2)
			require.Equal(t, "k8s_get_pod_logs", first.Calls[0].Name)
			require.JSONEq(t, `{"pod_name":"checkout-1","tail_lines":20}`, first.Calls[0].Arguments)
			require.Equal(t, "k8s_ping", first.Calls[1].Name)
			require.JSONEq(t, `{}`, first.Calls[1].Arguments)
			require.NotEqual(t, first.Calls[0].ID, first.Calls[1].ID)
			require.Positive(t, first.Usage.Input)
			require.Positive(t, first.Usage.Output)
			require.Empty(t, first.Opaque)

			r.Messages = append(r.Messages,
				model.Message{Role: model.Assistant, Text: first.Text, Calls: first.Calls},
				model.Message{Role: model.User, Results: []model.Result{
					{Call: first.Calls[0].ID, Text: "lookup orders-db.shop.svc: no such host"},
					{Call: first.Calls[1].ID, Text: "not reachable", Error: true},
				}})
			second, err := m.Generate(t.Context(), r, nil)
			require.NoError(t, err)
			require.Equal(t, "The host orders-db.shop.svc does not exist. 追加してください。", second.Text)
			require.Equal(t, model.StopDone, second.Stop)
			require.Empty(t, second.Calls)
			require.Greater(t, second.Usage.Input, first.Usage.Input)
			require.Len(t, server.Requests(), 2)
		})
	}
}
