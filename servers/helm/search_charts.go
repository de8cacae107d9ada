package helm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var searchCharts = mcpkit.Tool{
	Name:        "helm_search_charts",
	Title:       "Search charts",
	Description: "Charts of the configured repositories whose name, keywords or description hold a text; or, for REPOSITORY/CHART, its versions. For more on one chart use helm_show_chart.",
	Narrow:      "search for more of the name, or in one repository",
}

type SearchChartsIn struct {
	Query      string `json:"query,omitempty" jsonschema:"part of a name, keyword or description; or REPOSITORY/CHART; every chart if absent"`
	Repository string `json:"repository,omitempty" jsonschema:"only in this one"`
	Version    string `json:"version,omitempty" jsonschema:"only versions in this range, such as ^1.2"`
	Devel      bool   `json:"devel,omitempty" jsonschema:"prereleases too"`
	Limit      int    `json:"limit,omitempty" jsonschema:"most rows; 20 if absent"`
}

func (SearchChartsIn) Constrain(p mcpkit.Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type SearchChartsOut struct {
	Found     string   `json:"found" jsonschema:"how many, and the nearest names if none"`
	NotLooked []string `json:"not_looked_at,omitempty" jsonschema:"repositories without an answer, and why"`
	mcpkit.Left
	Charts *mcpkit.Table `json:"charts" jsonschema:"best match first; of one chart its versions, newest first"`
}

// searchAtOnce is how many repositories are asked at the same time.
const searchAtOnce = 8

func (b *Backend) searchCharts(ctx context.Context, in SearchChartsIn) (SearchChartsOut, error) {
	allows, err := versionFilter(in.Version, in.Devel)
	if err != nil {
		return SearchChartsOut{}, err
	}
	if name, err := parseChart(in.Query); err == nil && name.archive == "" {
		if r, err := b.repository(name.repository); err == nil {
			return b.searchVersions(ctx, r, name.name, allows, in.Limit)
		}
	}
	all, err := b.repositories()
	if err != nil {
		return SearchChartsOut{}, err
	}
	if in.Repository != "" {
		one, err := b.repository(in.Repository)
		if err != nil {
			return SearchChartsOut{}, err
		}
		all = []*repository{one}
	}
	if len(all) == 0 {
		return SearchChartsOut{}, mcpkit.Errorf(mcpkit.NotFound, "there is nothing to search. %s", configured(all, ""))
	}
	s := &search{query: strings.ToLower(strings.TrimSpace(in.Query)), allows: allows}
	if err := b.searchAll(ctx, all, s); err != nil {
		return SearchChartsOut{}, err
	}
	return s.answer(in.Limit), nil
}

// searchAll looks through the indexes of all repositories.
func (b *Backend) searchAll(ctx context.Context, all []*repository, s *search) error {
	var steps []func(context.Context) error
	for _, r := range all {
		if r.isRegistry() {
			s.skip(r.Name + ": a registry cannot be searched; ask for " + r.Name + "/CHART")
			continue
		}
		steps = append(steps, func(ctx context.Context) error {
			i, err := b.index(ctx, r)
			if known, ok := errors.AsType[*mcpkit.Error](err); ok {
				s.skip(r.Name + ": " + known.Text)
				return nil
			}
			if err != nil {
				return err
			}
			s.look(r, i)
			return nil
		})
	}
	return mcpkit.Together(ctx, searchAtOnce, steps...)
}

// search is one search on its way through the repositories.
type search struct {
	query  string
	allows func(string) bool

	mu      sync.Mutex
	hits    []hit
	names   []string // of all charts, for the nearest ones
	skipped []string
}

// hit is one chart found.
type hit struct {
	rank  int // 0 is best
	chart string
	entry *entry
	version
}

func (s *search) skip(why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.skipped = append(s.skipped, why)
}

// look adds the charts of one index that match.
func (s *search) look(r *repository, i *index) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.stale != nil {
		s.skipped = append(s.skipped, fmt.Sprintf("%s: answered from its index of %s, for it does not answer now", r.Name, i.asked.UTC().Format("2006-01-02 15:04")))
	}
	for name, e := range i.charts {
		s.names = append(s.names, name)
		rank, matches := s.matches(e)
		if !matches {
			continue
		}
		if at := slices.IndexFunc(e.versions, func(v version) bool { return s.allows(v.version) }); at >= 0 {
			s.hits = append(s.hits, hit{rank, r.Name + "/" + name, e, e.versions[at]})
		}
	}
}

// matches reports whether a chart fits the query, and how well.
func (s *search) matches(e *entry) (int, bool) {
	name := strings.ToLower(e.name)
	switch {
	case s.query == "" || name == s.query:
		return 0, true
	case strings.HasPrefix(name, s.query):
		return 1, true
	case strings.Contains(name, s.query):
		return 2, true
	case slices.ContainsFunc(e.keywords, func(k string) bool { return strings.Contains(strings.ToLower(k), s.query) }):
		return 3, true
	}
	return 4, strings.Contains(strings.ToLower(e.description), s.query)
}

// shownDescription is how much of a description one row has, in bytes.
const shownDescription = 90

func (s *search) answer(limit int) SearchChartsOut {
	slices.SortFunc(s.hits, func(a, b hit) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.chart, b.chart))
	})
	slices.Sort(s.skipped)
	slices.Sort(s.names)
	out := SearchChartsOut{NotLooked: s.skipped, Found: fmt.Sprintf("%d of %d charts", len(s.hits), len(s.names))}
	if near := mcpkit.Nearest(s.query, slices.Compact(s.names)); len(s.hits) == 0 && len(near) > 0 {
		out.Found += "; the nearest names are " + strings.Join(near, ", ")
	}
	shown, truncated := mcpkit.FirstN(s.hits, limit, 20)
	t := mcpkit.Table{Columns: []string{"chart", "version", "app_version", "description", "deprecated"}}
	for _, h := range shown {
		t.Rows = append(t.Rows, []string{h.chart, h.version.version, h.app, brief(h.entry.description, shownDescription), mark(h.deprecated, "deprecated")})
	}
	out.Charts = dense(t)
	if out.Truncated = truncated; truncated {
		out.LeftOut = fmt.Sprintf("%d of %d charts shown; %s", len(shown), len(s.hits), searchCharts.Narrow)
	}
	return out
}

// brief is the beginning of s, cut between words.
func brief(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= most {
		return s
	}
	head := s[:most]
	if i := strings.LastIndexByte(head, ' '); i > most/2 {
		head = head[:i]
	}
	return strings.ToValidUTF8(head, "") + "..."
}

// searchVersions lists the versions of one chart.
func (b *Backend) searchVersions(ctx context.Context, r *repository, name string, allows func(string) bool, limit int) (SearchChartsOut, error) {
	mcpkit.SetTarget(ctx, "chart "+r.Name+"/"+name)
	all, err := b.versionsOf(ctx, r, name)
	if err != nil {
		return SearchChartsOut{}, err
	}
	fit := slices.DeleteFunc(slices.Clone(all), func(v version) bool { return !allows(v.version) })
	shown, truncated := mcpkit.FirstN(fit, limit, 20)
	t := mcpkit.Table{Columns: []string{"chart", "version", "app_version", "created", "deprecated"}}
	for _, v := range shown {
		t.Rows = append(t.Rows, []string{r.Name + "/" + name, v.version, v.app, day(v), mark(v.deprecated, "deprecated")})
	}
	out := SearchChartsOut{Found: fmt.Sprintf("%d of %d versions", len(fit), len(all)), Charts: dense(t)}
	if len(fit) == 0 {
		out.Found += "; the newest are " + newest(all)
	}
	if out.Truncated = truncated; truncated {
		out.LeftOut = fmt.Sprintf("%d of %d versions shown; give a range, or a higher limit", len(shown), len(fit))
	}
	return out, nil
}

// versionsOf are the versions of a chart, newest first.
func (b *Backend) versionsOf(ctx context.Context, r *repository, name string) ([]version, error) {
	if r.isRegistry() {
		s, err := b.inRegistry(r, name)
		if err != nil {
			return nil, err
		}
		defer s.visitor.close()
		ctx, cancel := context.WithTimeout(ctx, b.cfg.DownloadTimeout)
		defer cancel()
		return s.versions(ctx)
	}
	e, err := b.entry(ctx, r, name)
	if err != nil {
		return nil, err
	}
	return e.versions, nil
}

// versionFilter is the versions a caller wants: those in a range, stable ones
// unless the range or the caller says otherwise.
func versionFilter(wanted string, devel bool) (func(string) bool, error) {
	if wanted == "" {
		return func(v string) bool { return devel || !isPrerelease(v) }, nil
	}
	constraint, err := semver.NewConstraint(wanted)
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "version %q is neither a version nor a range such as ^1.2 or >=1.0 <2.0", short(wanted))
	}
	constraint.IncludePrerelease = devel
	return func(v string) bool {
		parsed, err := semver.NewVersion(v)
		return err == nil && constraint.Check(parsed)
	}, nil
}
