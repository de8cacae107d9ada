package helm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/toolcrib/toolcrib/mcpkit"
	"oras.land/oras-go/v2/registry/remote/auth"
)

var listRepositories = mcpkit.Tool{
	Name:        "helm_list_repositories",
	Title:       "List chart repositories",
	Description: "The chart repositories and registries that charts may come from, what each holds and whether it answers, and the archives of the operator's folder.",
}

type ListRepositoriesIn struct{}

type ListRepositoriesOut struct {
	Problems []string `json:"problems,omitempty" jsonschema:"what keeps repositories from answering"`
	mcpkit.Left
	Repositories *mcpkit.Table `json:"repositories" jsonschema:"entered_as: whose credentials are sent, never which"`
	Archives     []string      `json:"archives,omitempty" jsonschema:"usable by name as charts"`
}

func (b *Backend) listRepositories(ctx context.Context, _ ListRepositoriesIn) (ListRepositoriesOut, error) {
	all, err := b.repositories()
	if err != nil {
		return ListRepositoriesOut{}, err
	}
	rows, problems := make([][]string, len(all)), make([]string, len(all))
	var steps []func(context.Context) error
	for i, r := range all {
		steps = append(steps, func(ctx context.Context) error {
			var err error
			rows[i], problems[i], err = b.repositoryRow(ctx, r)
			return err
		})
	}
	if err := mcpkit.Together(ctx, searchAtOnce, steps...); err != nil {
		return ListRepositoriesOut{}, err
	}
	out := ListRepositoriesOut{Repositories: dense(mcpkit.Table{
		Columns: []string{"name", "kind", "url", "entered_as", "state", "charts", "versions", "asked"}, Rows: rows,
	})}
	for _, p := range problems {
		if p != "" {
			out.Problems = append(out.Problems, p)
		}
	}
	if len(all) == 0 {
		out.Problems = append(out.Problems, "no repository is configured. "+configured(all, ""))
	}
	if folder, err := os.OpenRoot(b.cfg.ChartDir); b.cfg.ChartDir != "" && err == nil {
		defer folder.Close()
		out.Archives = archives(folder)
	}
	return out, nil
}

// repositoryRow is what there is to say of one repository, and what is wrong
// with it.
func (b *Backend) repositoryRow(ctx context.Context, r *repository) (row []string, problem string, err error) {
	as, err := b.enteredAs(r)
	if err != nil {
		return nil, "", err
	}
	row = []string{r.Name, "repository", r.base.String(), as, "answers", "", "", ""}
	if r.isRegistry() {
		row[1] = "registry"
		err = b.ping(ctx, r)
	} else {
		var i *index
		if i, err = b.index(ctx, r); err == nil {
			row[5], row[6] = strconv.Itoa(len(i.charts)), strconv.Itoa(i.versions)
			row[7] = i.asked.UTC().Format("2006-01-02T15:04:05Z")
			err = i.stale
		}
	}
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		row[4] = string(known.Kind)
		return row, r.Name + ": " + known.Text, nil
	}
	return row, "", err
}

// enteredAs says with what credentials r is entered, without saying them.
func (b *Backend) enteredAs(r *repository) (string, error) {
	credential := auth.EmptyCredential
	if r.isRegistry() {
		var err error
		if credential, err = b.credential(r); err != nil {
			return "", err
		}
	}
	switch {
	case r.Username != "":
		return "configured user", nil
	case credential != auth.EmptyCredential:
		return "user of the registry configuration", nil
	case r.CertFile != "":
		return "client certificate", nil
	case r.query != "":
		return "query of its URL", nil
	}
	return "anybody", nil
}

// ping asks whether a registry answers and lets us in.
func (b *Backend) ping(ctx context.Context, r *repository) error {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DownloadTimeout)
	defer cancel()
	s, err := b.inRegistry(r, "x") // the registry is asked, not a chart
	if err != nil {
		return err
	}
	defer s.visitor.close()
	s.what = "the registry's API"
	if err := s.answers(ctx); err != nil {
		return fmt.Errorf("ping %s: %w", r.Name, s.translate(ctx, err))
	}
	return nil
}
