package helm

import (
	"context"
	"fmt"
	"strconv"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/action"
	"helm.sh/helm/v3/pkg/release"
	"helm.sh/helm/v3/pkg/releaseutil"
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
	mcpkit.Left
	Revisions mcpkit.Table `json:"revisions" jsonschema:"newest first"`
}

func (b *Backend) getHistory(ctx context.Context, in GetHistoryIn) (GetHistoryOut, error) {
	mcpkit.SetTarget(ctx, in.String())
	cfg, err := b.configuration(ctx, in.Namespace)
	if err != nil {
		return GetHistoryOut{}, err
	}
	history, err := action.NewHistory(cfg).Run(in.Name)
	if err != nil {
		return GetHistoryOut{}, translate(err, "read "+in.String())
	}
	releaseutil.Reverse(history, releaseutil.SortByRevision)
	shown, truncated := mcpkit.FirstN(history, in.Limit, 10)
	out := GetHistoryOut{Revisions: mcpkit.Table{Columns: []string{"revision", "updated", "status", "chart", "app_version", "description"}}}
	for _, r := range shown {
		out.Revisions.Rows = append(out.Revisions.Rows, revisionRow(r))
	}
	if out.Truncated = truncated; truncated {
		out.LeftOut = fmt.Sprintf("%d of %d revisions shown", len(shown), len(history))
	}
	return out, nil
}

func revisionRow(r *release.Release) []string {
	return []string{strconv.Itoa(r.Version), r.Info.LastDeployed.UTC().Format("2006-01-02T15:04:05Z"), r.Info.Status.String(), r.Chart.Metadata.Name + "-" + r.Chart.Metadata.Version, r.Chart.Metadata.AppVersion, r.Info.Description}
}
