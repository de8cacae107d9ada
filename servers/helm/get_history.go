package helm

import (
	"context"
	"fmt"
	"strconv"

	"github.com/toolcrib/toolcrib/mcpkit"
)

var getHistory = mcpkit.Tool{
	Name:        "helm_get_history",
	Title:       "Revisions of a release",
	Description: "Lists a release's revisions, newest first: when, chart, status and what Helm said. For what changed between two use helm_diff_release.",
	Narrow:      "lower limit",
	Rules:       []mcpkit.Rule{readReleases},
}

// readReleases is what every tool that looks at a release needs: Helm keeps
// releases in Secrets.
var readReleases = mcpkit.Rule{Groups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get", "list"}}

// Release names one release.
type Release struct {
	Name      string `json:"name" jsonschema:"release"`
	Namespace string `json:"namespace" jsonschema:"its namespace"`
}

func (r Release) String() string {
	return fmt.Sprintf("release %q in namespace %q", r.Name, r.Namespace)
}

type GetHistoryIn struct {
	Release
	Limit int `json:"limit,omitempty" jsonschema:"most revisions; 10 if absent"`
}

func (GetHistoryIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(256.0)
}

type GetHistoryOut struct {
	Findings []string `json:"findings,omitempty" jsonschema:"what is wrong"`
	mcpkit.Left
	Revisions mcpkit.Table `json:"revisions" jsonschema:"newest first"`
}

func (b *Backend) getHistory(ctx context.Context, in GetHistoryIn) (GetHistoryOut, error) {
	records, err := b.revisions(ctx, in.Release)
	if err != nil {
		return GetHistoryOut{}, err
	}
	shown, truncated := mcpkit.FirstN(records, in.Limit, 10)
	heads, err := b.readHeads(ctx, shown)
	if err != nil {
		return GetHistoryOut{}, err
	}
	out := GetHistoryOut{Revisions: mcpkit.Table{Columns: []string{"revision", "updated", "status", "chart", "app_version", "description"}}}
	if text := records[0].trouble(b.now(), wellBefore(records)); text != "" {
		out.Findings = append(out.Findings, text)
	}
	for i, r := range shown {
		h := heads[i]
		if h.err != nil {
			out.Findings = append(out.Findings, textOf(h.err))
		}
		updated := r.modified
		if !h.Info.LastDeployed.IsZero() {
			updated = h.Info.LastDeployed.Time
		}
		out.Revisions.Rows = append(out.Revisions.Rows, []string{strconv.Itoa(r.revision), stamp(updated), string(r.status), h.chart(), h.Chart.Metadata.AppVersion, mcpkit.Cut(oneLine(h.Info.Description))})
	}
	if out.Truncated = truncated; truncated {
		out.LeftOut = fmt.Sprintf("%d of %d revisions shown", len(shown), len(records))
	}
	return out, nil
}
