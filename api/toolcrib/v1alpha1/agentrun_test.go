package v1alpha1_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// run is the least that somebody has to write.
func run(name string) v1alpha1.AgentRun {
	return v1alpha1.AgentRun{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AgentRun"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "tools"},
		Spec:       v1alpha1.AgentRunSpec{Agent: "troubleshooter", Prompt: "Why is web not healthy?"},
	}
}

// ran is the run as it is now.
func ran(t *testing.T, name string) v1alpha1.AgentRun {
	t.Helper()
	var r v1alpha1.AgentRun
	require.NoError(t, json.Unmarshal([]byte(admin.does(t, "get", "agentrun", name, "-o", "json")), &r))
	return r
}

// changes applies a JSON patch to the run's status.
func changes(t *testing.T, name string, patch ...map[string]any) error {
	t.Helper()
	_, err := admin.try(t.Context(), patch, "patch", "agentrun", name, "--subresource=status", "--type=json", "--patch-file=/dev/stdin")
	return err
}

func TestTheLeastThatAsks(t *testing.T) {
	t.Parallel()
	least := map[string]any{
		"apiVersion": "toolcrib.dev/v1alpha1", "kind": "AgentRun", "metadata": map[string]any{"name": "least"},
		"spec": map[string]any{"agent": "a", "prompt": "Why?"},
	}
	makes(t, least)
	r := ran(t, "least")
	require.Equal(t, v1alpha1.AgentRunSpec{Agent: "a", Prompt: "Why?", Trigger: &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerPerson}}, r.Spec)
	require.Equal(t, v1alpha1.AgentRunStatus{Phase: v1alpha1.RunPending}, r.Status)
	require.Equal(t, "agentrun.toolcrib.dev/least\n", admin.does(t, "get", "agentruns", "-o", "name", "--field-selector", "spec.agent=a,status.phase=Pending"))
}

func TestEveryFieldOfARunSurvives(t *testing.T) {
	t.Parallel()
	at := metav1.NewTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC).Local())
	full := run("full")
	full.Spec = v1alpha1.AgentRunSpec{
		Agent: "a", Prompt: "Why?", Data: `{"alertname":"Down"}`, RequestedBy: "ada", Cancel: true, TTLSecondsAfterFinished: new(int32(0)),
		Trigger: &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerAgent, Name: "lead", Key: "k"},
		Parent:  &v1alpha1.RunParent{Agent: "tools/lead", Run: "r", Depth: 1},
	}
	makes(t, full)
	usage := v1alpha1.TokenUsage{Input: 1, Output: 2, CacheRead: 3, CacheWrite: 4}
	status := v1alpha1.AgentRunStatus{
		Phase: v1alpha1.RunCompleted, Message: "It was full.", Answer: "The disk was full.", Turns: 2, ToolCalls: 1, Tokens: usage, CostUSD: "0.012345",
		Asked:     v1alpha1.AskedUsage{Questions: 2, Unstated: 1, Tokens: 500, CostUSD: "0.5"},
		Approvals: []v1alpha1.RunApproval{{Name: "tools/k8s-scale-1", Tool: "k8s_scale", Target: "deployments/web", Decision: v1alpha1.DecisionDenied}},
		TraceID:   "4bf92f3577b34da6a3ce929d0e0e4736", Revision: "0a1b2c3d4e", StartedAt: &at, FinishedAt: &at,
		Claim: &v1alpha1.RunClaim{Holder: "a-5f7c/1", RenewedAt: metav1.NewMicroTime(at.Time.Add(time.Microsecond))},
		Events: []v1alpha1.AgentRunEvent{
			{Time: "2026-01-02T03:04:05.006Z", Type: v1alpha1.EventAsked, Text: "Why?"},
			{Time: "2026-01-02T03:04:05.007Z", Type: v1alpha1.EventAnswered, Turn: 1, Text: "I look.", Usage: &usage, Opaque: `[{"type": "thinking",  "signature": "Zm9v"}]`,
				Calls: []v1alpha1.ToolCall{{ID: "c1", Server: "tools/kube", Tool: "k8s_scale", Arguments: `{"b":1,"a":12345678901234567890}`}}},
			{Time: "2026-01-02T03:04:05.008Z", Type: v1alpha1.EventCall, Turn: 1, Call: "c1", Tool: "k8s_scale"},
			{Time: "2026-01-02T03:04:05.009Z", Type: v1alpha1.EventWaits, Turn: 1, Call: "c1", Tool: "k8s_scale", Approval: "tools/k8s-scale-1", Reason: "a person decides"},
			{Time: "2026-01-02T03:04:05.010Z", Type: v1alpha1.EventResult, Turn: 1, Call: "c1", Tool: "k8s_scale", Error: true, Text: "denied", Asked: &v1alpha1.AskedUsage{Questions: 1, Tokens: 5, CostUSD: "0.5"}},
			{Time: "2026-01-02T03:04:05.011Z", Type: v1alpha1.EventEnded, Reason: "done"},
		},
	}
	patch, err := json.Marshal(map[string]any{"status": status})
	require.NoError(t, err)
	admin.does(t, "patch", "agentrun", "full", "--subresource=status", "--type=merge", "-p", string(patch))
	require.Equal(t, full.Spec, ran(t, "full").Spec)
	require.Equal(t, status, ran(t, "full").Status, "to the byte, what a provider signed too")
	require.Equal(t, `NAME   AGENT   TRIGGER   PHASE       TURNS   CALLS   USD        AGE   BY    INPUT   OUTPUT   CACHE READ   CACHE WRITE   ASKED TOKENS   ASKED USD   MESSAGE
full   a       Agent     Completed   2       1       0.012345   0s    ada   1       2        3            4             500            0.5         It was full.
`, still(admin.does(t, "get", "arun", "full", "-o", "wide")))
}

func TestWhatWasAskedNeverChanges(t *testing.T) {
	t.Parallel()
	asked := run("asked")
	asked.Spec.Data = "d"
	makes(t, asked)
	change := func(spec string) error {
		_, err := admin.try(t.Context(), nil, "patch", "agentrun", "asked", "--type=merge", "-p", "spec: "+spec)
		return err
	}
	for _, spec := range []string{
		`{agent: b}`, `{prompt: Else}`, `{data: e}`, `{data: null}`, `{requestedBy: ada}`,
		`{trigger: {kind: A2A}}`, `{trigger: {name: a}}`, `{parent: {agent: a/b, run: r}}`,
	} {
		require.ErrorContains(t, change(spec), "what was asked never changes, but for cancel and ttlSecondsAfterFinished; ask anew with another AgentRun", spec)
	}
	require.NoError(t, change(`{ttlSecondsAfterFinished: 60}`))
	require.NoError(t, change(`{cancel: false}`))
	require.NoError(t, change(`{cancel: true}`))
	for _, spec := range []string{`{cancel: false}`, `{cancel: null}`} {
		require.ErrorContains(t, change(spec), "what is cancelled stays cancelled; ask anew with another AgentRun")
	}
	want := run("asked").Spec
	want.Data, want.Cancel, want.TTLSecondsAfterFinished, want.Trigger = "d", true, new(int32(60)), &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerPerson}
	require.Equal(t, want, ran(t, "asked").Spec)
}

func TestARunIsWellFormed(t *testing.T) {
	t.Parallel()
	spec := func(rest string) string { return "{agent: a, prompt: b, " + rest + "}" }
	letters := strings.Repeat("x", 64<<10)
	hold(t, v1alpha1.GroupVersion.String(), "AgentRun", []rule{
		{`{agent: "", prompt: b}`, "spec.agent: Invalid value", `{agent: a, prompt: b}`},
		{`{prompt: b}`, "spec.agent: Required value", `{agent: a, prompt: b}`},
		{`{agent: a, prompt: ""}`, "spec.prompt: Invalid value", `{agent: a, prompt: "?"}`},
		{`{agent: a, prompt: ` + letters + `x}`, "spec.prompt: Too long: may not be more than 65536", `{agent: a, prompt: ` + letters + `}`},
		{spec(`data: ` + letters + `x`), "spec.data: Too long: may not be more than 65536", spec(`data: ` + letters)},
		{spec(`trigger: {kind: Oracle}`), `supported values: "Person", "A2A", "Agent", "AgentTrigger"`, spec(`trigger: {kind: A2A}`)},
		{spec(`parent: {agent: a/b, run: r, depth: 101}`), "spec.parent.depth in body should be less than or equal to 100", spec(`parent: {agent: a/b, run: r, depth: 1}`)},
		{spec(`ttlSecondsAfterFinished: -1`), "spec.ttlSecondsAfterFinished in body should be greater than or equal to 0", spec(`ttlSecondsAfterFinished: 0`)},
	})
	largest := run("largest")
	largest.Spec.Prompt, largest.Spec.Data = letters, letters
	makes(t, largest)
	admin.does(t, "patch", "agentrun", "largest", "--type=merge", "-p", "spec: {cancel: true}")
}

// TestWhoAsked holds that a person speaks for nobody else, and to the agents
// that they may ask.
func TestWhoAsked(t *testing.T) {
	t.Parallel()
	ask := func(p person, change func(*v1alpha1.AgentRunSpec)) error {
		r := run("by")
		change(&r.Spec)
		_, err := p.try(t.Context(), r, "create", "--dry-run=server", "-f", "-")
		return err
	}
	as := func(user string) func(*v1alpha1.AgentRunSpec) {
		return func(s *v1alpha1.AgentRunSpec) { s.RequestedBy = user }
	}
	const refused = "spec.requestedBy must be your own user name, or absent: bob@example.com"
	require.Eventually(t, func() bool { // the API server takes a moment to see a policy
		err := ask(bob, as("ada"))
		return err != nil && strings.Contains(err.Error(), refused)
	}, enough, 100*time.Millisecond)
	require.NoError(t, ask(bob, as("")))
	other := func(s *v1alpha1.AgentRunSpec) { s.Agent = "dba" }
	require.ErrorContains(t, ask(bob, other), "bob@example.com may not ask dba: that takes the verb ask on agents.kagent.dev in namespace tools")
	require.NoError(t, ask(robot, other))
	require.NoError(t, ask(bob, as(bob.name)))
	for _, change := range []func(*v1alpha1.AgentRunSpec){
		func(s *v1alpha1.AgentRunSpec) { s.Trigger = &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerA2A} },
		func(s *v1alpha1.AgentRunSpec) { s.Parent = &v1alpha1.RunParent{Agent: "tools/lead", Run: "r"} },
	} {
		require.ErrorContains(t, ask(bob, change), "spec.trigger and spec.parent are for agents and the controller to say; leave them out")
	}
	require.NoError(t, ask(robot, func(s *v1alpha1.AgentRunSpec) {
		s.RequestedBy, s.Trigger, s.Parent = "ada", &v1alpha1.RunTrigger{Kind: v1alpha1.TriggerA2A}, &v1alpha1.RunParent{Agent: "tools/lead", Run: "r"}
	}), "an agent has authenticated whom it names")
	require.ErrorContains(t, ask(vic, as("")), `User "vic" cannot create resource "agentruns"`)
	require.Equal(t, "yes\n", vic.does(t, "auth", "can-i", "list", "agentruns"))
}

// TestARunIsClaimedOnce claims a run as two processes would, and adds to its
// record as whoever won does.
func TestARunIsClaimedOnce(t *testing.T) {
	t.Parallel()
	makes(t, run("claimed"))
	claim := func(holder string) error {
		return changes(t, "claimed", map[string]any{"op": "test", "path": "/status/claim", "value": nil},
			map[string]any{"op": "add", "path": "/status/claim", "value": v1alpha1.RunClaim{Holder: holder, RenewedAt: metav1.NowMicro()}},
			map[string]any{"op": "add", "path": "/status/events", "value": []any{}})
	}
	require.NoError(t, claim("a/1"))
	require.ErrorContains(t, claim("b/1"), "the server rejected our request", "somebody else has it")
	require.Equal(t, "a/1", ran(t, "claimed").Status.Claim.Holder)

	add := func(holder string, event v1alpha1.AgentRunEvent) error {
		return changes(t, "claimed", map[string]any{"op": "test", "path": "/status/claim/holder", "value": holder},
			map[string]any{"op": "add", "path": "/status/events/-", "value": event})
	}
	event := v1alpha1.AgentRunEvent{Time: "2026-01-02T03:04:05.006Z", Type: v1alpha1.EventResult, Call: "c", Text: strings.Repeat("x", 256<<10)}
	for range 4 {
		require.NoError(t, add("a/1", event), "a record of 1 MiB fits")
	}
	require.ErrorContains(t, add("b/1", event), "the server rejected our request", "who has not claimed adds nothing")
	require.Len(t, ran(t, "claimed").Status.Events, 4)
	for want, event := range map[string]v1alpha1.AgentRunEvent{
		`supported values: "asked", "answered"`: {Time: "t", Type: "guessed"},
		"Too long: may not be more than 262144": {Time: "t", Type: v1alpha1.EventResult, Text: event.Text + "x"},
		"may not be more than 32":               {Time: strings.Repeat("x", 33), Type: v1alpha1.EventResult},
	} {
		require.ErrorContains(t, add("a/1", event), want)
	}
}

func TestWhichPhasesAreFinal(t *testing.T) {
	t.Parallel()
	for phase, want := range map[v1alpha1.RunPhase]bool{
		"": false, v1alpha1.RunPending: false, v1alpha1.RunRunning: false, v1alpha1.RunWaiting: false,
		v1alpha1.RunCompleted: true, v1alpha1.RunStopped: true, v1alpha1.RunFailed: true, v1alpha1.RunCancelled: true,
	} {
		require.Equal(t, want, phase.Final(), phase)
	}
}
