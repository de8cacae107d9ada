package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

var targets = mcpkit.Tool{
	Name:        "prometheus_targets",
	Title:       "Scrape targets",
	Description: "Which scrape targets are down and why, health by job, and how long scrapes take.",
	Narrow:      "give job or state, or lower limit",
}

type TargetsIn struct {
	Job   string `json:"job,omitempty" jsonschema:"job label or scrape pool; all if absent"`
	State string `json:"state,omitempty" jsonschema:"if absent those with trouble, or all of a job"`
	Limit int    `json:"limit,omitempty" jsonschema:"most targets; 20 if absent"`
}

func (TargetsIn) Constrain(p mcpkit.Properties) {
	p["state"].Enum = []any{"up", "down", "unknown", "dropped", "any"}
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(500.0)
}

type TargetsOut struct {
	Summary   string       `json:"summary" jsonschema:"how many are up, down or dropped"`
	Jobs      mcpkit.Table `json:"jobs" jsonschema:"those with targets down first"`
	NotLooked []string     `json:"not_looked_at,omitempty"`
	mcpkit.Left
	Targets mcpkit.Table `json:"targets" jsonschema:"the worst first"`
}

// target is one scrape target.
type target struct {
	Labels             model.LabelSet    `json:"labels"`
	DiscoveredLabels   map[string]string `json:"discoveredLabels"`
	ScrapePool         string            `json:"scrapePool"`
	ScrapeURL          string            `json:"scrapeUrl"`
	LastError          string            `json:"lastError"`
	LastScrape         time.Time         `json:"lastScrape"`
	LastScrapeDuration seconds           `json:"lastScrapeDuration"`
	Health             string            `json:"health"`
	ScrapeInterval     string            `json:"scrapeInterval"` // empty in old versions
}

// discovery is the answer of the targets endpoint.
type discovery struct {
	Active  []target       `json:"activeTargets"`
	Dropped []target       `json:"droppedTargets"`
	Counts  map[string]int `json:"droppedTargetCounts"` // by scrape pool
}

func (b *Backend) targets(ctx context.Context, in TargetsIn) (TargetsOut, error) {
	found, err := b.discover(ctx, in)
	if isMissing(err) {
		return b.targetsFromUp(ctx, in, err)
	}
	if err != nil {
		return TargetsOut{}, err
	}
	r := newTargetReport(found, in)
	if in.Job != "" && len(r.jobs) == 0 {
		return TargetsOut{}, unknownJob(in.Job, found)
	}
	return r.out(in, b.now()), nil
}

// isMissing reports whether an error says that the backend has no such endpoint.
func isMissing(err error) bool {
	var known *mcpkit.Error
	return errors.As(err, &known) && known.Kind == mcpkit.NotFound
}

// discover asks for active targets, and for dropped ones where they are wanted;
// else for their numbers alone, by naming a pool that is none: a cluster's
// service discovery drops tens of thousands.
func (b *Backend) discover(ctx context.Context, in TargetsIn) (discovery, error) {
	var active, dropped discovery
	pool := "-"
	if in.State == "dropped" {
		pool = in.Job
	}
	err := mcpkit.Together(ctx, maxRequests, func(ctx context.Context) (err error) {
		active, err = fetch[discovery](ctx, b, "targets", url.Values{"state": {"active"}}, "list the targets")
		return err
	}, func(ctx context.Context) (err error) {
		dropped, err = fetch[discovery](ctx, b, "targets", url.Values{"state": {"dropped"}, "scrapePool": {pool}}, "list the targets")
		return err
	})
	active.Counts = dropped.Counts
	if in.State == "dropped" {
		active.Dropped = dropped.Dropped
	}
	return active, err
}

func unknownJob(job string, d discovery) error {
	var names []string
	for _, t := range d.Active {
		names = append(names, t.job())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if near := mcpkit.Nearest(job, names); len(near) > 0 {
		return mcpkit.Errorf(mcpkit.NotFound, "no job %q has a target; the nearest names are %s", job, strings.Join(near, ", "))
	}
	return mcpkit.Errorf(mcpkit.NotFound, "no job %q has a target; jobs are %s", job, fewOf(names, 10))
}

func (t target) job() string { return cmp.Or(string(t.Labels[model.JobLabel]), t.ScrapePool) }

// interval is how often the target is scraped; 0 if it is not said.
func (t target) interval() time.Duration {
	d, err := model.ParseDuration(t.ScrapeInterval)
	if err != nil {
		return 0
	}
	return time.Duration(d)
}

// slow reports whether a scrape takes most of the time there is for it.
func (t target) slow() bool {
	return t.interval() > 0 && time.Duration(t.LastScrapeDuration) > t.interval()*7/10
}

// trouble ranks a target: what is worse is greater.
func (t target) trouble() int {
	switch {
	case t.Health == "down":
		return 3
	case t.Health != "up":
		return 2
	case t.slow():
		return 1
	}
	return 0
}

// note is what is to be said of a target beyond its health.
func (t target) note() string {
	switch {
	case t.LastError != "":
		return bareURLs(t.LastError)
	case t.Health == "unknown":
		return "not scraped yet"
	case t.slow():
		return "scrapes take most of the interval"
	}
	return ""
}

var aURL = regexp.MustCompile(`https?://[^\s"'\\]+`)

// bareURLs takes user, password and parameters out of the URLs in a text.
func bareURLs(text string) string {
	return aURL.ReplaceAllStringFunc(text, func(s string) string {
		u, err := url.Parse(s)
		if err != nil {
			return "(a URL)"
		}
		return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
	})
}

// jobHealth counts the targets of one job.
type jobHealth struct {
	name                       string
	up, down, unknown, dropped int
	slowest                    target
}

// targetReport sorts targets out.
type targetReport struct {
	jobs    []*jobHealth
	active  []target // that are wanted
	dropped []target
}

func newTargetReport(d discovery, in TargetsIn) *targetReport {
	r, byName, jobOf := &targetReport{}, map[string]*jobHealth{}, map[string]string{}
	of := func(name string) *jobHealth {
		if byName[name] == nil {
			byName[name] = &jobHealth{name: name}
			r.jobs = append(r.jobs, byName[name])
		}
		return byName[name]
	}
	for _, t := range d.Active {
		jobOf[t.ScrapePool] = t.job()
		if in.Job == "" || t.job() == in.Job || t.ScrapePool == in.Job {
			of(t.job()).add(t)
			if in.wants(t) {
				r.active = append(r.active, t)
			}
		}
	}
	for pool, n := range d.Counts {
		job := cmp.Or(jobOf[pool], pool)
		if n > 0 && (in.Job == "" || job == in.Job || pool == in.Job) {
			of(job).dropped += n
		}
	}
	r.dropped = d.Dropped
	slices.SortStableFunc(r.active, func(a, b target) int {
		return cmp.Or(b.trouble()-a.trouble(), cmp.Compare(a.job(), b.job()), cmp.Compare(a.ScrapeURL, b.ScrapeURL))
	})
	slices.SortFunc(r.jobs, func(a, b *jobHealth) int {
		return cmp.Or(b.down-a.down, b.unknown-a.unknown, cmp.Compare(a.name, b.name))
	})
	return r
}

func (in TargetsIn) wants(t target) bool {
	switch in.State {
	case "":
		return in.Job != "" || t.trouble() > 0
	case "any":
		return true
	}
	return t.Health == in.State
}

func (j *jobHealth) add(t target) {
	switch t.Health {
	case "up":
		j.up++
	case "down":
		j.down++
	default:
		j.unknown++
	}
	if t.LastScrapeDuration >= j.slowest.LastScrapeDuration {
		j.slowest = t
	}
}

func (r *targetReport) out(in TargetsIn, now time.Time) TargetsOut {
	out := TargetsOut{
		Jobs:    mcpkit.Table{Columns: []string{"job", "up", "down", "unknown", "dropped", "slowest_scrape", "interval"}, Rows: [][]string{}},
		Targets: mcpkit.Table{Columns: []string{"job", "instance", "health", "scraped", "took", "interval", "url", "note"}, Rows: [][]string{}},
	}
	var all jobHealth
	for _, j := range r.jobs {
		all.up, all.down, all.unknown, all.dropped = all.up+j.up, all.down+j.down, all.unknown+j.unknown, all.dropped+j.dropped
		out.Jobs.Rows = append(out.Jobs.Rows, []string{j.name, strconv.Itoa(j.up), strconv.Itoa(j.down), strconv.Itoa(j.unknown), strconv.Itoa(j.dropped), brieftime(time.Duration(j.slowest.LastScrapeDuration)), j.slowest.ScrapeInterval})
	}
	out.Summary = fmt.Sprintf("%d down, %d unknown, %d up, %d dropped by relabelling, in %s", all.down, all.unknown, all.up, all.dropped, counted(len(r.jobs), "job"))
	for _, t := range r.active {
		scraped := ""
		if !t.LastScrape.IsZero() {
			scraped = since(now, t.LastScrape) + " ago"
		}
		out.Targets.Rows = append(out.Targets.Rows, []string{t.job(), string(t.Labels[model.InstanceLabel]), t.Health, scraped, brieftime(time.Duration(t.LastScrapeDuration)), t.ScrapeInterval, bareURLs(t.ScrapeURL), t.note()})
	}
	if in.State == "dropped" {
		out.Targets = droppedTable(r.dropped)
	}
	out.Left, out.Targets.Rows = firstRows(out.Targets.Rows, cmp.Or(in.Limit, 20), "targets")
	return out
}

func droppedTable(dropped []target) mcpkit.Table {
	t := mcpkit.Table{Columns: []string{"pool", "address", "job"}, Rows: [][]string{}}
	for _, d := range dropped {
		t.Rows = append(t.Rows, []string{d.ScrapePool, d.DiscoveredLabels[model.AddressLabel], d.DiscoveredLabels[model.JobLabel]})
	}
	return t
}

// firstRows holds rows to a limit and says what that left out.
func firstRows(rows [][]string, limit int, what string) (mcpkit.Left, [][]string) {
	if len(rows) <= limit {
		return mcpkit.Left{}, rows
	}
	return mcpkit.Left{Truncated: true, LeftOut: fmt.Sprintf("%s: %d of %d shown; raise limit", what, limit, len(rows))}, rows[:limit]
}

// targetsFromUp answers what it can where the backend lists no targets: each
// scrape leaves a sample of the series up.
func (b *Backend) targetsFromUp(ctx context.Context, in TargetsIn, why error) (TargetsOut, error) {
	if in.State == "dropped" {
		return TargetsOut{}, why
	}
	expr := "up"
	if in.Job != "" {
		expr += "{job=" + strconv.Quote(in.Job) + "}"
	}
	e, err := b.evaluate(ctx, expr, b.now(), maxUpSeries)
	if err != nil {
		return TargetsOut{}, err
	}
	var d discovery
	vector, _ := e.value.(model.Vector)
	for _, s := range vector {
		health := "up"
		if s.Value == 0 {
			health = "down"
		}
		d.Active = append(d.Active, target{Labels: model.LabelSet(s.Metric), Health: health})
	}
	if in.Job != "" && len(d.Active) == 0 {
		return TargetsOut{}, mcpkit.Errorf(mcpkit.NotFound, "no job %q has a series up", in.Job)
	}
	out := newTargetReport(d, in).out(in, b.now())
	out.Summary = strings.Replace(out.Summary, ", 0 dropped by relabelling", "", 1)
	out.NotLooked = []string{"errors, scrape times and dropped targets: " + why.(*mcpkit.Error).Text + ". What is said here comes from the series up"}
	if e.more {
		out.NotLooked = append(out.NotLooked, fmt.Sprintf("there are more than %d series up; give job", maxUpSeries))
	}
	return out, nil
}

const maxUpSeries = 5000
