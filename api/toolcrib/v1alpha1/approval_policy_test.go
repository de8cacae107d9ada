package v1alpha1_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// TestThePoliciesFitTheTypes waits for the API server's own check of each policy
// against the CRD, which warns of fields that do not exist.
func TestThePoliciesFitTheTypes(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"approvals.toolcrib.dev", "agentruns.toolcrib.dev", "agentruns-of-agents.toolcrib.dev"} {
		var checked string
		require.Eventually(t, func() bool {
			checked, _ = admin.try(t.Context(), nil, "get", "validatingadmissionpolicy", policy, "-o", "jsonpath={.status.typeChecking}")
			return checked != ""
		}, enough, 100*time.Millisecond)
		require.Equal(t, "{}", checked, policy)
	}
}

// unchanged holds that the attacks that follow leave the approvals as they are.
func unchanged(t *testing.T, attacks func(), names ...string) {
	t.Helper()
	var before, after []v1alpha1.Approval
	for _, name := range names {
		before = append(before, found(t, name))
	}
	attacks()
	for _, name := range names {
		after = append(after, found(t, name))
	}
	require.Equal(t, before, after)
}

// attempt is one thing that somebody must not be able to do to a status.
type attempt struct {
	who                    person
	approval, status, want string
}

// repelled makes the attempts, each of which is refused and changes nothing.
func repelled(t *testing.T, attempts map[string]attempt, approvals ...string) {
	t.Helper()
	unchanged(t, func() {
		for name, a := range attempts {
			t.Run(name, func(t *testing.T) {
				require.ErrorContains(t, a.who.patches(t, a.approval, a.status), a.want)
			})
		}
	}, approvals...)
}

func TestWhoDecides(t *testing.T) {
	t.Parallel()
	asks(t, approval("who"))
	own := approval("own")
	own.Spec.Caller, own.Spec.Agent = bob.name, bob.name
	asks(t, own)

	repelled(t, map[string]attempt{
		"a viewer":                               {vic, "who", `{decision: Approved, decidedBy: vic}`, `User "vic" cannot get resource "approvals/status"`},
		"whoever may write but not decide":       {mallory, "who", `{decision: Approved, decidedBy: mallory}`, "mallory may not decide: that takes the verb decide on approvals.toolcrib.dev in namespace tools, as ClusterRole toolcrib-approver grants it"},
		"a ServiceAccount that approvers let in": {robot, "who", `{decision: Approved, decidedBy: "system:serviceaccount:tools:robot"}`, "system:serviceaccount:tools:robot is a ServiceAccount and never decides; a person has to, with a user of their own"},
		"a ServiceAccount in a person's name":    {robot, "who", `{decision: Approved, decidedBy: ada}`, "is a ServiceAccount and never decides"},
		"the tool server":                        {server, "who", `{decision: Approved, decidedBy: "system:serviceaccount:tools:server"}`, "is a ServiceAccount and never decides"},
		"an administrator as a ServiceAccount":   {admin.as(robot.name, "system:masters"), "who", `{decision: Approved, decidedBy: "system:serviceaccount:tools:robot"}`, "is a ServiceAccount and never decides"},
		"a name among the ServiceAccounts":       {admin.as("ada", "system:serviceaccounts"), "who", `{decision: Approved, decidedBy: ada}`, "ada is a ServiceAccount and never decides"},
		"the caller":                             {bob, "own", `{decision: Approved, decidedBy: bob@example.com}`, "bob@example.com made this call and cannot decide about it; somebody else has to"},
		"the caller, to deny":                    {bob, "own", `{decision: Denied, decidedBy: bob@example.com}`, "bob@example.com made this call and cannot decide about it"},
		"in another's name":                      {ada, "who", `{decision: Approved, decidedBy: bob@example.com}`, "status.decidedBy must be your own user name: ada"},
		"in nobody's name":                       {ada, "who", `{decision: Approved}`, "status.decidedBy must be your own user name: ada"},
		"the administrator in another's name":    {admin, "who", `{decision: Approved, decidedBy: ada}`, "status.decidedBy must be your own user name: toolcrib:admin"},
		"a name before the decision":             {ada, "who", `{decidedBy: ada}`, "status.decidedBy and status.reason are set in the same update as status.decision, and are as final"},
		"a reason before the decision":           {ada, "who", `{reason: because}`, "status.decidedBy and status.reason are set in the same update as status.decision, and are as final"},
		"a decision of one's own making":         {ada, "who", `{decision: approved, decidedBy: ada}`, `Unsupported value: "approved": supported values: "Pending", "Approved", "Denied"`},
		"decided and used up at once":            {admin, "who", `{decision: Approved, decidedBy: "toolcrib:admin", consumedAt: "2020-01-02T03:04:05Z", consumedBy: c1}`, "only an approval that a person has approved can be used up, and this one is Pending"},
	}, "who", "own")

	require.NoError(t, ada.patches(t, "who", `{decision: Denied, decidedBy: ada, reason: not on a Friday}`))
	require.Equal(t, v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionDenied, DecidedBy: "ada", Reason: "not on a Friday"}, found(t, "who").Status)
	require.NoError(t, ada.patches(t, "own", `{decision: Approved, decidedBy: ada}`))
	require.Equal(t, v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionApproved, DecidedBy: "ada"}, found(t, "own").Status)
}

func TestADecisionIsFinal(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"approved", "denied"} {
		asks(t, approval(name))
	}
	require.NoError(t, ada.patches(t, "approved", `{decision: Approved, decidedBy: ada}`))
	require.NoError(t, ada.patches(t, "denied", `{decision: Denied, decidedBy: ada}`))

	approvedIsFinal := "the decision is Approved and final; have the agent ask for a new approval"
	deniedIsFinal := "the decision is Denied and final; have the agent ask for a new approval"
	wordsAreFinal := "status.decidedBy and status.reason are set in the same update as status.decision, and are as final"
	repelled(t, map[string]attempt{
		"who approved denies":             {ada, "approved", `{decision: Denied, decidedBy: ada}`, approvedIsFinal},
		"who approved takes it back":      {ada, "approved", `{decision: Pending, decidedBy: null}`, approvedIsFinal},
		"who approved lets it default":    {ada, "approved", `{decision: null}`, approvedIsFinal},
		"who approved empties the status": {ada, "approved", `null`, approvedIsFinal},
		"who denied approves":             {ada, "denied", `{decision: Approved}`, deniedIsFinal},
		"another approves what is denied": {bob, "denied", `{decision: Approved, decidedBy: bob@example.com}`, deniedIsFinal},
		"the administrator does":          {admin, "denied", `{decision: Approved, decidedBy: "toolcrib:admin"}`, deniedIsFinal},
		"the tool server does":            {server, "denied", `{decision: Approved}`, deniedIsFinal},
		"another takes the decision over": {bob, "approved", `{decidedBy: bob@example.com}`, wordsAreFinal},
		"nobody is to have decided":       {ada, "approved", `{decidedBy: null}`, wordsAreFinal},
		"a reason comes later":            {ada, "approved", `{reason: I was told to}`, wordsAreFinal},
		"the tool server names another":   {server, "approved", `{decidedBy: vic, consumedAt: "2020-01-02T03:04:05Z", consumedBy: c1}`, wordsAreFinal},
	}, "approved", "denied")
}

func TestAnApprovalIsUsedUpOnce(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pending", "refused", "unused", "used"} {
		asks(t, approval(name))
	}
	require.NoError(t, ada.patches(t, "refused", `{decision: Denied, decidedBy: ada}`))
	require.NoError(t, ada.patches(t, "unused", `{decision: Approved, decidedBy: ada}`))
	require.NoError(t, ada.patches(t, "used", `{decision: Approved, decidedBy: ada}`))
	require.NoError(t, server.patches(t, "used", `{consumedAt: "2020-01-02T03:04:05Z", consumedBy: c1}`))
	status := found(t, "used").Status
	require.Equal(t, "c1", status.ConsumedBy)
	require.Equal(t, time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC), status.ConsumedAt.UTC())

	const now = `"2020-01-02T03:04:06Z"`
	once := "an approval is used up once and for good, with status.consumedAt and status.consumedBy in one update"
	repelled(t, map[string]attempt{
		"before a decision":               {server, "pending", `{consumedAt: ` + now + `, consumedBy: c2}`, "only an approval that a person has approved can be used up, and this one is Pending"},
		"though denied":                   {server, "refused", `{consumedAt: ` + now + `, consumedBy: c2}`, "only an approval that a person has approved can be used up, and this one is Denied"},
		"after it expired":                {server, "unused", `{consumedAt: "2099-01-01T00:00:00Z", consumedBy: c2}`, "the approval has expired; have the agent ask for a new one"},
		"by no call":                      {server, "unused", `{consumedAt: ` + now + `}`, once},
		"at no time":                      {server, "unused", `{consumedBy: c2}`, once},
		"by an approver":                  {ada, "unused", `{consumedAt: ` + now + `, consumedBy: c2}`, "ada may not use this approval up: that takes the verb consume on approvals.toolcrib.dev in namespace tools, which tool servers hold"},
		"by whoever may write":            {mallory, "unused", `{consumedAt: ` + now + `, consumedBy: c2}`, "mallory may not use this approval up"},
		"by an agent that may decide":     {robot, "unused", `{consumedAt: ` + now + `, consumedBy: c2}`, "system:serviceaccount:tools:robot may not use this approval up"},
		"twice":                           {server, "used", `{consumedAt: ` + now + `, consumedBy: c2}`, once},
		"by another call":                 {server, "used", `{consumedBy: c2}`, once},
		"at another time":                 {server, "used", `{consumedAt: ` + now + `}`, once},
		"and given back":                  {server, "used", `{consumedAt: null, consumedBy: null}`, once},
		"and given back by administrator": {admin, "used", `{consumedAt: null, consumedBy: null}`, once},
		"and decided anew":                {ada, "used", `{decision: Denied, decidedBy: ada}`, "the decision is Approved and final"},
	}, "pending", "refused", "unused", "used")
}

// TestWhoeverHoldsBothVerbsDoesBoth holds that the verbs are what tells the two
// roles apart.
func TestWhoeverHoldsBothVerbsDoesBoth(t *testing.T) {
	t.Parallel()
	asks(t, approval("both"))
	require.NoError(t, admin.patches(t, "both", `{decision: Approved, decidedBy: "toolcrib:admin"}`))
	require.NoError(t, admin.patches(t, "both", `{consumedAt: "2020-01-02T03:04:05Z", consumedBy: c1}`))
	require.Equal(t, "c1", found(t, "both").Status.ConsumedBy)
}

func TestARequestIsNotWidened(t *testing.T) {
	t.Parallel()
	fixed := approval("fixed")
	asks(t, fixed)
	change := func(who person, patch string) func() error {
		return func() error {
			_, err := who.try(t.Context(), nil, "patch", "approval", "fixed", "--type=merge", "-p", patch)
			return err
		}
	}
	apply := func(who person, change func(*v1alpha1.Approval), args ...string) func() error {
		a := fixed.DeepCopy()
		change(a)
		return func() error {
			_, err := who.try(t.Context(), a, append([]string{"apply", "--server-side", "--force-conflicts", "-f", "-"}, args...)...)
			return err
		}
	}
	immutable := "the spec of an approval never changes; ask for a new approval"
	label := "by its labels of toolcrib.dev an approval is found, so they never change; ask for a new approval"
	attacks := map[string]struct {
		make func() error
		want string
	}{
		"another tool":             {change(mallory, `spec: {tool: k8s_delete_resource}`), immutable},
		"more time":                {change(mallory, `spec: {expiresAt: "2099-01-01T00:00:00Z"}`), immutable},
		"another caller":           {change(admin, `spec: {caller: ada}`), immutable},
		"another run":              {change(mallory, `spec: {run: r-18}`), immutable},
		"another plan, applied":    {apply(mallory, func(a *v1alpha1.Approval) { a.Spec.Plan = "nothing" }), immutable},
		"another request":          {change(mallory, `metadata: {labels: {toolcrib.dev/request: other}}`), label},
		"no request":               {change(mallory, `metadata: {labels: {toolcrib.dev/request: null}}`), label},
		"no labels":                {change(mallory, `metadata: {labels: null}`), label},
		"one more label of ours":   {change(mallory, `metadata: {labels: {toolcrib.dev/expires: 2020-01-02T03}}`), label},
		"another request, applied": {apply(mallory, func(a *v1alpha1.Approval) { a.Labels["toolcrib.dev/request"] = "other" }), label},
		"an owner that is gone":    {change(mallory, `metadata: {ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: gone, uid: 0f8fad5b-d9cb-469f-a165-70867728950e}]}`), "an approval is given no owner that it could vanish with; to delete it, delete it"},
		"deleted":                  {func() error { _, err := mallory.try(t.Context(), nil, "delete", "approval", "fixed"); return err }, `User "mallory" cannot delete resource "approvals"`},
		"deleted by an approver":   {func() error { _, err := ada.try(t.Context(), nil, "delete", "approval", "fixed"); return err }, `User "ada" cannot delete resource "approvals"`},
		"made by an approver":      {apply(ada, func(a *v1alpha1.Approval) { a.Name = "forged" }), `User "ada" cannot patch resource "approvals"`},
		"decided by an agent's apply": {apply(robot, func(a *v1alpha1.Approval) { a.Status.Decision, a.Status.DecidedBy = v1alpha1.DecisionApproved, "ada" }, "--subresource=status"),
			"is a ServiceAccount and never decides"},
		"decided by apply where nothing was asked": {apply(ada, func(a *v1alpha1.Approval) {
			a.Name, a.Status.Decision, a.Status.DecidedBy = "unasked", v1alpha1.DecisionApproved, "ada"
		}, "--subresource=status"), `"unasked" not found`},
	}
	unchanged(t, func() {
		for name, a := range attacks {
			t.Run(name, func(t *testing.T) { require.ErrorContains(t, a.make(), a.want) })
		}
	}, "fixed")
	require.NoError(t, change(mallory, `metadata: {labels: {team: shop}}`)(), "other labels are free")
}

// TestStatusHasOneWayIn tries to bring a decision in with something else.
func TestStatusHasOneWayIn(t *testing.T) {
	t.Parallel()
	preset := approval("preset")
	preset.CreationTimestamp = in(48 * time.Hour)
	preset.Status = v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionApproved, DecidedBy: "ada", ConsumedBy: "c1"}
	asks(t, preset)
	made := found(t, "preset")
	require.Equal(t, v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionPending}, made.Status)
	require.WithinDuration(t, time.Now(), made.CreationTimestamp.Time, time.Hour)

	longer := approval("longer")
	longer.CreationTimestamp, longer.Spec.ExpiresAt = in(48*time.Hour), in(60*time.Hour)
	_, err := mallory.try(t.Context(), longer, "create", "-f", "-")
	require.ErrorContains(t, err, "at most 24 hours after the approval is made")

	applied := approval("applied")
	applied.Status = preset.Status
	_, err = mallory.try(t.Context(), applied, "apply", "--server-side", "-f", "-")
	require.NoError(t, err)
	require.Equal(t, v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionPending}, found(t, "applied").Status)
	admin.does(t, "delete", "approval", "applied")

	mallory.does(t, "patch", "approval", "preset", "--type=merge", "-p", `status: {decision: Approved, decidedBy: ada}`)
	require.Equal(t, v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionPending}, found(t, "preset").Status)

	mallory.does(t, "patch", "approval", "preset", "--subresource=status", "--type=merge", "-p", "spec: {tool: k8s_delete_resource}\nmetadata: {labels: {toolcrib.dev/request: other}}")
	after := found(t, "preset")
	require.Equal(t, "k8s_scale", after.Spec.Tool)
	require.Equal(t, map[string]string{"toolcrib.dev/request": "5f2e"}, after.Labels)
}

// TestADecisionByOtherVerbs holds that replace and apply meet what patch meets.
func TestADecisionByOtherVerbs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"replaced", "applied-status"} {
		asks(t, approval(name))
	}
	a := found(t, "replaced")
	a.Status = v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionApproved, DecidedBy: "mallory"}
	unchanged(t, func() {
		_, err := mallory.try(t.Context(), a, "replace", "--subresource=status", "-f", "-")
		require.ErrorContains(t, err, "mallory may not decide")
	}, "replaced")
	a.Status.DecidedBy = "ada"
	_, err := ada.try(t.Context(), a, "replace", "--subresource=status", "-f", "-")
	require.NoError(t, err)
	require.Equal(t, a.Status, found(t, "replaced").Status)

	status := map[string]any{
		"apiVersion": "toolcrib.dev/v1alpha1", "kind": "Approval", "metadata": map[string]any{"name": "applied-status"},
		"status": map[string]any{"decision": "Approved", "decidedBy": "ada"},
	}
	_, err = ada.try(t.Context(), status, "apply", "--server-side", "--subresource=status", "-f", "-")
	require.NoError(t, err)
	require.Equal(t, v1alpha1.DecisionApproved, found(t, "applied-status").Status.Decision)
	status["status"] = map[string]any{"reason": "what is left out is taken away"}
	unchanged(t, func() {
		_, err := ada.try(t.Context(), status, "apply", "--server-side", "--subresource=status", "-f", "-")
		require.ErrorContains(t, err, "the decision is Approved and final")
	}, "applied-status")
}

// TestThePolicyNeedsNoRuleOfTheCRD takes the CRD's own rule away: the policy
// holds where the CRD is another version's. It changes what others use, so it
// runs before whatever runs side by side.
func TestThePolicyNeedsNoRuleOfTheCRD(t *testing.T) {
	asks(t, approval("bare"))
	const rules = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/x-kubernetes-validations"
	widen := []string{"patch", "approval", "bare", "--dry-run=server", "--type=merge", "-p", `spec: {tool: k8s_delete_resource}`}
	refused := func(by string) func() bool {
		return func() bool {
			_, err := mallory.try(t.Context(), nil, widen...)
			return err != nil && strings.Contains(err.Error(), by) && strings.Contains(err.Error(), "the spec of an approval never changes")
		}
	}
	require.Eventually(t, refused("is invalid: spec"), enough, 100*time.Millisecond)
	admin.does(t, "patch", "crd", "approvals.toolcrib.dev", "--type=json", "-p", `[{"op": "remove", "path": "`+rules+`"}]`)
	require.Eventually(t, refused("ValidatingAdmissionPolicy"), enough, 100*time.Millisecond)
	admin.does(t, "apply", "-f", manifests+"/toolcrib.dev_approvals.yaml")
	require.Eventually(t, refused("is invalid: spec"), enough, 100*time.Millisecond)
}
