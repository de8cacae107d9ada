package v1alpha1_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func policy(name string) v1alpha1.AgentPolicy {
	return v1alpha1.AgentPolicy{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AgentPolicy"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "tools"},
	}
}

func TestAnAgentPolicyIsReadOnlyUnlessItSaysMore(t *testing.T) {
	t.Parallel()
	all := policy("all")
	makes(t, all)
	some := policy("some")
	some.Spec = v1alpha1.AgentPolicySpec{
		AgentSelector:   metav1.LabelSelector{MatchLabels: map[string]string{"team": "shop"}},
		Access:          v1alpha1.AccessApprove,
		ApprovalTimeout: &metav1.Duration{Duration: 90 * time.Minute},
		PerRun:          v1alpha1.RunLimits{Turns: new(int32(20)), ToolCalls: new(int32(50)), Duration: &metav1.Duration{Duration: 15 * time.Minute}, Tokens: new(int64(200_000)), CostUSD: new(v1alpha1.Dollars("0.50"))},
		PerDay:          v1alpha1.DayLimits{Runs: new(int32(100)), ToolCalls: new(int32(2000)), Tokens: new(int64(10_000_000)), CostUSD: new(v1alpha1.Dollars("20"))},
	}
	makes(t, some)

	var list v1alpha1.AgentPolicyList
	require.NoError(t, json.Unmarshal([]byte(vic.does(t, "get", "agentpolicies", "-o", "json")), &list))
	require.Len(t, list.Items, 2)
	require.Equal(t, v1alpha1.AgentPolicySpec{Access: v1alpha1.AccessReadOnly}, list.Items[0].Spec)
	require.Equal(t, some.Spec, list.Items[1].Spec, "what is written is what is read")
	require.Equal(t, `NAME   ACCESS     TURNS   USD/RUN   USD/DAY   AGE
all    ReadOnly                               0s
some   Approve    20      0.50      20        0s
`, still(vic.does(t, "get", "agentpolicies")))
}

func TestAnAgentPolicyIsWellFormed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ spec, want string }{
		"for nobody in particular":    {`{}`, "spec.agentSelector: Required value"},
		"an access that is not":       {`{"agentSelector": {}, "access": "Everything"}`, `supported values: "ReadOnly", "Approve", "Write"`},
		"a day and more to approve":   {`{"agentSelector": {}, "approvalTimeout": "24h1s"}`, `spec.approvalTimeout: Invalid value: "24h1s": give more than 0s and at most 24h`},
		"no time to approve":          {`{"agentSelector": {}, "approvalTimeout": "0s"}`, "give more than 0s and at most 24h"},
		"a time of no unit":           {`{"agentSelector": {}, "approvalTimeout": "30"}`, "spec.approvalTimeout: Invalid value"},
		"a run of no time":            {`{"agentSelector": {}, "perRun": {"duration": "0m"}}`, `spec.perRun.duration: Invalid value: "0m": give more than 0s`},
		"a run of no turns":           {`{"agentSelector": {}, "perRun": {"turns": 0}}`, "spec.perRun.turns in body should be greater than or equal to 1"},
		"less than no tool calls":     {`{"agentSelector": {}, "perDay": {"toolCalls": -1}}`, "spec.perDay.toolCalls: Invalid value: -1"},
		"no number of dollars":        {`{"agentSelector": {}, "perRun": {"costUSD": "1,50"}}`, "spec.perRun.costUSD: Invalid value"},
		"negative dollars":            {`{"agentSelector": {}, "perDay": {"costUSD": "-1"}}`, "spec.perDay.costUSD: Invalid value"},
		"dollars as a float":          {`{"agentSelector": {}, "perDay": {"costUSD": 0.1}}`, "spec.perDay.costUSD"},
		"a limit that does not exist": {`{"agentSelector": {}, "perDay": {"turns": 5}}`, `unknown field "spec.perDay.turns"`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			object := map[string]any{
				"apiVersion": "toolcrib.dev/v1alpha1", "kind": "AgentPolicy",
				"metadata": map[string]any{"name": "spoiled"}, "spec": json.RawMessage(c.spec),
			}
			_, err := admin.try(t.Context(), object, "create", "--dry-run=server", "-f", "-")
			require.ErrorContains(t, err, c.want)
		})
	}
}
