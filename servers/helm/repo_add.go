package helm

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"
)

// repoAdd exists only where the operator allowed a host: a tool that cannot be
// used would cost every caller its description.
var repoAdd = mcpkit.Tool{
	Name:        "helm_repo_add",
	Title:       "Add a chart repository",
	Description: "Adds a chart repository of a host the operator allows to those that charts may come from. Repositories that ask for a password, and registries, are entered by the operator.",
	Idempotent:  true,
}

type RepoAddIn struct {
	Name    string `json:"name" jsonschema:"what to call it"`
	URL     string `json:"url" jsonschema:"where its index.yaml is, without that name; https, and no user, password or query"`
	Replace bool   `json:"replace,omitempty" jsonschema:"give a name that is taken this URL"`
}

type RepoAddOut struct {
	Repository string `json:"repository"`
	Done       string `json:"done" jsonschema:"added, replaced, or nothing as it was there already"`
	Holds      string `json:"holds" jsonschema:"how many charts and versions"`
}

// addition is one repository on its way into the file.
type addition struct {
	*repository
	old   string // URL the name has now; empty if it is free
	raw   []byte // its index
	index *index
}

func (b *Backend) planRepoAdd(ctx context.Context, in RepoAddIn) (mcpkit.Plan, error) {
	mcpkit.SetTarget(ctx, "repository "+short(in.Name))
	r, err := b.allowedRepository(in)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	if err := b.mayWriteRepositories(); err != nil {
		return mcpkit.Plan{}, err
	}
	a := &addition{repository: r}
	all, err := b.repositories()
	if err != nil {
		return mcpkit.Plan{}, err
	}
	var entered bool // with credentials
	if i := slices.IndexFunc(all, func(o *repository) bool { return o.Name == r.Name }); i >= 0 {
		a.old = all[i].base.String()
		entered = all[i].Username != "" || all[i].CertFile != "" || all[i].query != ""
	}
	if a.old != "" && a.old != r.base.String() && !in.Replace {
		return mcpkit.Plan{}, mcpkit.Errorf(mcpkit.Conflict, "repository %q is there already, at %s; choose another name, or say replace", r.Name, a.old)
	}
	place := &cached{}
	if a.raw, err = b.refresh(ctx, r, place); err != nil {
		return mcpkit.Plan{}, err
	}
	a.index = place.index
	return a.plan(entered), nil
}

// plan is what adding does to the repositories file.
func (a *addition) plan(entered bool) mcpkit.Plan {
	p := mcpkit.Plan{
		Target: fmt.Sprintf("repository %q in the repositories file", a.Name),
		Now:    []string{fmt.Sprintf("its index holds %s: %s", a.index.holds(), listed(slices.Sorted(maps.Keys(a.index.charts))))},
		Seen:   []string{"at " + a.old},
		State:  a,
	}
	if a.old == a.base.String() {
		return p
	}
	if a.old != "" {
		p.Diff = fmt.Sprintf("- %s: %s\n", a.Name, a.old)
		if entered {
			p.Notes = append(p.Notes, "the credentials that the name was entered with go, for they were for the old place")
		}
	}
	p.Diff += fmt.Sprintf("+ %s: %s", a.Name, a.base)
	return p
}

func (i *index) holds() string {
	return plural(len(i.charts), "chart") + " in " + plural(i.versions, "version")
}

// allowedRepository holds a caller's repository against the operator's list:
// https unless it is on this machine, and a host that is on it letter for
// letter.
func (b *Backend) allowedRepository(in RepoAddIn) (*repository, error) {
	u, err := url.Parse(strings.TrimSpace(in.URL))
	switch {
	case !nameForm.MatchString(in.Name) || len(in.Name) > 63:
		return nil, mcpkit.Errorf(mcpkit.Invalid, "name %q is none for a repository: letters, digits, dots and dashes, at most 63", short(in.Name))
	case err != nil || u.Host == "" || u.Opaque != "":
		return nil, mcpkit.Errorf(mcpkit.Invalid, "url is not one; write it like https://charts.example.com/stable")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, mcpkit.Errorf(mcpkit.Invalid, "url must carry no user, password or query: repositories that ask for them are entered by the operator, in the repositories file")
	case u.Scheme == registry.OCIScheme:
		return nil, mcpkit.Errorf(mcpkit.Invalid, "url is a registry's; registries are entered by the operator, in the repositories file")
	case u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())):
		return nil, mcpkit.Errorf(mcpkit.Invalid, "url must begin with https://")
	case !slices.ContainsFunc(b.cfg.AllowedHosts, func(host string) bool { return strings.EqualFold(host, u.Host) }):
		return nil, mcpkit.Errorf(mcpkit.Denied, "the operator has not allowed repositories of %q, only of %s", u.Host, strings.Join(b.cfg.AllowedHosts, ", "))
	}
	return newRepository(repo.Entry{Name: in.Name, URL: strings.TrimRight(u.String(), "/")})
}

// mayWriteRepositories says early what would fail late: nobody should be asked
// about a change that cannot be made.
func (b *Backend) mayWriteRepositories() error {
	if b.cfg.Repositories == "" {
		return mcpkit.Errorf(mcpkit.Denied, "this server has no repositories file to add to; a person must start it with --repositories")
	}
	f, err := os.OpenFile(b.cfg.Repositories, os.O_WRONLY, 0)
	if os.IsNotExist(err) {
		return nil // it will be made
	}
	if err != nil {
		return notWritable(err)
	}
	return f.Close()
}

func notWritable(err error) error {
	return &mcpkit.Error{Kind: mcpkit.Denied, Text: "the repositories file cannot be written, so a person must enter the repository there, or mount it writable", Err: err}
}

func (b *Backend) repoAdd(ctx context.Context, _ RepoAddIn, plan mcpkit.Plan) (RepoAddOut, error) {
	a, ok := plan.State.(*addition)
	if !ok {
		return RepoAddOut{}, fmt.Errorf("the plan's state is a %T", plan.State)
	}
	out := RepoAddOut{Repository: a.String(), Done: "added", Holds: a.index.holds()}
	switch a.old {
	case a.base.String():
		out.Done = "nothing, it was there already"
		return out, nil
	case "":
	default:
		out.Done = "replaced " + a.old
	}
	if err := b.enter(ctx, a); err != nil {
		return RepoAddOut{}, err
	}
	if err := b.writeCached(a.repository, a.raw); err != nil {
		return RepoAddOut{}, err
	}
	return out, nil
}
