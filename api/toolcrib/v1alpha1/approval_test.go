package v1alpha1_test

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

func TestANewApprovalIsPending(t *testing.T) {
	t.Parallel()
	asks(t, approval("new"))
	require.Equal(t, v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionPending}, found(t, "new").Status)
	require.Contains(t, admin.does(t, "get", "approvals", "-o", "name", "--field-selector", "status.decision=Pending"), "approval.toolcrib.dev/new\n")
}

// The cells of a table that move with the clock.
var (
	ages   = regexp.MustCompile(`^\d+[hms](\d+[ms])?$`)
	expiry = regexp.MustCompile(`^20\d\d-[0-9T:-]+Z$`)
)

var (
	headings = regexp.MustCompile(`\S+(?: \S+)*`)
	ends     = regexp.MustCompile(`(?m) +$`)
)

// still is a table with its clock stopped. A cell begins below its heading, and a
// column is as wide as kubectl makes it.
func still(table string) string {
	head, _, _ := strings.Cut(table, "\n")
	columns := headings.FindAllStringIndex(head, -1)
	var out strings.Builder
	w := tabwriter.NewWriter(&out, 6, 4, 3, ' ', 0)
	for line := range strings.Lines(table) {
		line = strings.TrimRight(line, "\n")
		for i, column := range columns {
			end := len(line)
			if i+1 < len(columns) {
				end = min(end, columns[i+1][0])
			}
			cell := strings.TrimSpace(line[min(column[0], end):end])
			switch {
			case ages.MatchString(cell):
				cell = "0s"
			case expiry.MatchString(cell):
				cell = "2026-01-02T03:04:05Z"
			}
			fmt.Fprint(w, cell, "\t")
		}
		fmt.Fprintln(w)
	}
	w.Flush()
	return ends.ReplaceAllString(out.String(), "")
}

func TestApprovalsReadWell(t *testing.T) {
	t.Parallel()
	scale, deletes := approval("k8s-scale-5f2e9c01-1"), approval("k8s-delete-resource-77aa0b3d-1")
	deletes.Spec.Tool, deletes.Spec.Target = "k8s_delete_resource", "jobs/import in namespace shop"
	for _, a := range []v1alpha1.Approval{scale, deletes} {
		a.Labels["toolcrib.dev/request"] = "table"
		asks(t, a)
	}
	require.NoError(t, bob.patches(t, scale.Name, `{decision: Approved, decidedBy: bob@example.com, reason: sale starts}`))
	used, err := json.Marshal(v1alpha1.ApprovalStatus{ConsumedAt: new(in(0)), ConsumedBy: "c1"})
	require.NoError(t, err)
	require.NoError(t, server.patches(t, scale.Name, string(used)))

	require.Equal(t, `NAME                             AGENT                   TOOL                  TARGET                              DECISION   BY                USED   AGE
k8s-delete-resource-77aa0b3d-1   kagent/troubleshooter   k8s_delete_resource   jobs/import in namespace shop       Pending                             0s
k8s-scale-5f2e9c01-1             kagent/troubleshooter   k8s_scale             deployments/web in namespace shop   Approved   bob@example.com   0s     0s
`, still(vic.does(t, "get", "approvals", "-l", "toolcrib.dev/request=table")))
	require.Equal(t, `NAME                             AGENT                   TOOL                  TARGET                              DECISION   BY                USED   AGE   EXPIRES                RUN    REASON
k8s-delete-resource-77aa0b3d-1   kagent/troubleshooter   k8s_delete_resource   jobs/import in namespace shop       Pending                             0s    2026-01-02T03:04:05Z   r-17
k8s-scale-5f2e9c01-1             kagent/troubleshooter   k8s_scale             deployments/web in namespace shop   Approved   bob@example.com   0s     0s    2026-01-02T03:04:05Z   r-17   sale starts
`, still(vic.does(t, "get", "apr", "-o", "wide", "-l", "toolcrib.dev/request=table")))
	require.Equal(t, "approval.toolcrib.dev/"+scale.Name+"\n",
		vic.does(t, "get", "approvals", "-o", "name", "-l", "toolcrib.dev/request=table", "--field-selector", "status.decision=Approved,spec.tool=k8s_scale,spec.agent=kagent/troubleshooter,spec.run=r-17,spec.caller="+scale.Spec.Caller))
}

// TestTheOneCommandThatApproves runs the command of the chart's README as its
// shell would.
func TestTheOneCommandThatApproves(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile(chart + "/README.md")
	require.NoError(t, err)
	line := regexp.MustCompile(`(?m)^kubectl -n NAMESPACE (patch approval NAME .*) -p "(.*)\$\(kubectl (.*)\)(.*)"$`).FindStringSubmatch(string(readme))
	require.NotNil(t, line, "the README has the command")
	notes, err := os.ReadFile(chart + "/templates/NOTES.txt")
	require.NoError(t, err)
	require.Contains(t, string(notes), line[0])

	for _, person := range []person{ada, bob} {
		asks(t, approval("one-command"+person.name[:3]))
	}
	for _, person := range []person{ada, bob} {
		name := "one-command" + person.name[:3]
		whoami := person.does(t, strings.Fields(line[3])...)
		person.does(t, append(strings.Fields(strings.ReplaceAll(line[1], "NAME", name)), "-p", line[2]+whoami+line[4])...)
		require.Equal(t, v1alpha1.ApprovalStatus{Decision: v1alpha1.DecisionApproved, DecidedBy: person.name}, found(t, name).Status)
	}
}

func TestExplainReadsLikeAManual(t *testing.T) {
	t.Parallel()
	require.Contains(t, vic.does(t, "explain", "approval"), "person decides, once; the tool server then uses it up, once, for exactly\n    that write. Read spec.plan, then approve:\n")
	spec := vic.does(t, "explain", "approval.spec")
	require.Contains(t, spec, "  plan\t<string> -required-\n    Plan is what would change and how, as the backend itself found out: read\n    this before you decide.")
	status := vic.does(t, "explain", "approval.status.decision")
	require.Contains(t, status, "ENUM:\n    Pending\n    Approved\n    Denied\n")
	for _, of := range []string{"approval.spec", "approval.status", "agentpolicy", "agentpolicy.spec", "agentpolicy.spec.perRun", "agentpolicy.spec.perDay"} {
		require.NotContains(t, vic.does(t, "explain", of), "<no description>")
	}
}

func TestAnApprovalIsWellFormed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(*v1alpha1.ApprovalSpec)
		want  string
	}{
		"no tool":            {func(s *v1alpha1.ApprovalSpec) { s.Tool = "" }, "spec.tool: Invalid value"},
		"no caller":          {func(s *v1alpha1.ApprovalSpec) { s.Caller = "" }, "spec.caller: Invalid value"},
		"no plan":            {func(s *v1alpha1.ApprovalSpec) { s.Plan = "" }, "spec.plan: Invalid value"},
		"a long plan":        {func(s *v1alpha1.ApprovalSpec) { s.Plan = strings.Repeat("x", 64<<10+1) }, "spec.plan: Too long: may not be more than 65536"},
		"long arguments":     {func(s *v1alpha1.ApprovalSpec) { s.Arguments = strings.Repeat("x", 256<<10+1) }, "spec.arguments: Too long: may not be more than 262144"},
		"no arguments' hash": {func(s *v1alpha1.ApprovalSpec) { s.ArgumentsHash = "" }, "spec.argumentsHash: Invalid value"},
		"no plan's hash":     {func(s *v1alpha1.ApprovalSpec) { s.PlanHash = "" }, "spec.planHash: Invalid value"},
		"expired already":    {func(s *v1alpha1.ApprovalSpec) { s.ExpiresAt = in(-time.Minute) }, "spec.expiresAt must lie ahead, and at most 24 hours after the approval is made"},
		"good for two days":  {func(s *v1alpha1.ApprovalSpec) { s.ExpiresAt = in(48 * time.Hour) }, "spec.expiresAt must lie ahead, and at most 24 hours after the approval is made"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := approval("spoiled")
			c.spoil(&a.Spec)
			_, err := server.try(t.Context(), a, "create", "--dry-run=server", "-f", "-")
			require.ErrorContains(t, err, c.want)
		})
	}
	largest := approval("largest")
	largest.Spec.Plan, largest.Spec.Arguments, largest.Spec.ExpiresAt = strings.Repeat("x", 64<<10), strings.Repeat("x", 256<<10), in(24*time.Hour-time.Minute)
	asks(t, largest)
	require.NoError(t, ada.patches(t, "largest", `{decision: Approved, decidedBy: ada}`), "the policy can afford it")
}
