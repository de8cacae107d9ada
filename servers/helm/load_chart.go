package helm

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"
)

// ChartRef names a chart: one of a configured repository, or an archive in the
// operator's folder. It cannot name any other place.
type ChartRef struct {
	Chart   string `json:"chart" jsonschema:"REPOSITORY/CHART of a configured repository, or NAME.tgz of the operator's folder"`
	Version string `json:"version,omitempty" jsonschema:"version or range such as ^1.2; the newest stable one if absent"`
}

// chartName is a ChartRef taken apart: either archive or repository and name.
type chartName struct {
	archive          string
	repository, name string
}

// pathForm is a chart's name within a repository: in a registry it may have
// several parts.
var pathForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?(/[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)*$`)

// parseChart takes apart what a caller wrote for chart. It refuses everything
// that would name a place of the caller's own.
func parseChart(s string) (chartName, error) {
	s = strings.TrimSpace(s)
	plain := strings.TrimPrefix(s, "archive:")
	switch {
	case strings.Contains(s, "://"):
		return chartName{}, mcpkit.Errorf(mcpkit.Invalid, "chart names a URL; charts come from configured repositories alone, written REPOSITORY/CHART")
	case strings.HasSuffix(plain, ".tgz") && !strings.Contains(plain, "/"):
		if !nameForm.MatchString(strings.ReplaceAll(plain, "+", "-")) {
			return chartName{}, mcpkit.Errorf(mcpkit.Invalid, "%q is no name of an archive", short(plain))
		}
		return chartName{archive: plain}, nil
	case strings.HasPrefix(s, ".") || strings.HasPrefix(s, "/") || strings.HasPrefix(s, "~") || strings.Contains(s, `\`) || plain != s || strings.HasSuffix(s, ".tgz"):
		return chartName{}, mcpkit.Errorf(mcpkit.Invalid, "chart names a path; write REPOSITORY/CHART, or the plain name of an archive such as web-1.0.0.tgz")
	}
	repository, name, found := strings.Cut(s, "/")
	if !found || !nameForm.MatchString(repository) || !pathForm.MatchString(name) {
		return chartName{}, mcpkit.Errorf(mcpkit.Invalid, "chart %q is not written REPOSITORY/CHART, such as bitnami/nginx", short(s))
	}
	return chartName{repository: repository, name: name}, nil
}

// short is s as far as an error needs to repeat it.
func short(s string) string {
	const most = 100
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "..."
}

// loaded is a chart with where it came from.
type loaded struct {
	*chart.Chart
	fetched
	digest string // SHA-256 of its archive, in hexadecimal
}

// fetched is a chart's archive.
type fetched struct {
	archive  []byte
	from     string    // for people, such as "web 1.2.0 from repository shop (https://charts.example.com)"
	versions []version // that there are where it came from, newest first; none of a single archive
}

// loadChart fetches the chart that ref names, in bounded size and time. It is
// the only way by which charts come into this process: subcharts that an
// archive does not hold are not fetched.
func (b *Backend) loadChart(ctx context.Context, ref ChartRef) (*loaded, error) {
	name, err := parseChart(ref.Chart)
	if err != nil {
		return nil, b.withConfigured(err)
	}
	ctx, cancel := context.WithTimeout(ctx, 2*b.cfg.DownloadTimeout) // an index and an archive
	defer cancel()
	f, err := b.fetch(ctx, name, ref.Version)
	if err != nil {
		return nil, err
	}
	c, err := unpack(ctx, f.archive, f.from)
	if err != nil {
		return nil, err
	}
	return &loaded{c, f, digestOf(f.archive)}, nil
}

// withConfigured adds to an error what could have been named.
func (b *Backend) withConfigured(err error) error {
	all, readErr := b.repositories()
	if readErr != nil {
		return err
	}
	text := err.(*mcpkit.Error).Text + ". " + configured(all, "")
	return &mcpkit.Error{Kind: mcpkit.Invalid, Text: text, Err: err}
}

// fetch gets a chart's archive from where its name says.
func (b *Backend) fetch(ctx context.Context, name chartName, wanted string) (fetched, error) {
	if name.archive != "" {
		archive, err := b.readArchive(name.archive)
		return fetched{archive: archive, from: name.archive + " of the operator's folder"}, err
	}
	r, err := b.repository(name.repository)
	if err != nil {
		return fetched{}, err
	}
	if r.isRegistry() {
		return b.pullChart(ctx, r, name.name, wanted)
	}
	return b.download(ctx, r, name.name, wanted)
}

// download fetches a chart's archive from a chart repository.
func (b *Backend) download(ctx context.Context, r *repository, name, wanted string) (fetched, error) {
	e, err := b.entry(ctx, r, name)
	if err != nil {
		return fetched{}, err
	}
	v, err := choose(r.Name+"/"+name, e.versions, wanted)
	if err != nil {
		return fetched{}, err
	}
	out := fetched{from: fmt.Sprintf("%s %s from repository %s", name, v.version, r), versions: e.versions}
	if len(v.urls) == 0 {
		return fetched{}, mcpkit.Errorf(mcpkit.Unavailable, "the index of %s names no archive of %s %s", r, name, v.version)
	}
	if out.archive, err = b.fetchArchive(ctx, r, v, out.from); err != nil {
		return fetched{}, err
	}
	return out, checkDigest(out.archive, v.digest, out.from)
}

// entry is one chart in the index of a chart repository.
func (b *Backend) entry(ctx context.Context, r *repository, name string) (*entry, error) {
	i, err := b.index(ctx, r)
	if err != nil {
		return nil, err
	}
	if e := i.charts[name]; e != nil {
		return e, nil
	}
	text := fmt.Sprintf("repository %s has no chart %q", r, name)
	if near := mcpkit.Nearest(name, slices.Sorted(maps.Keys(i.charts))); len(near) > 0 {
		text += "; the nearest names are " + strings.Join(near, ", ")
	}
	return nil, mcpkit.Errorf(mcpkit.NotFound, "%s. helm_search_charts finds charts", text)
}

// choose picks the newest version that a caller's version or range allows.
// Without one that is the newest stable version, or the newest if none is
// stable.
func choose(chart string, all []version, wanted string) (version, error) {
	if wanted == "" {
		if i := slices.IndexFunc(all, func(v version) bool { return !isPrerelease(v.version) }); i >= 0 {
			return all[i], nil
		}
		return all[0], nil
	}
	for _, exact := range []string{wanted, strings.TrimPrefix(wanted, "v"), "v" + wanted} {
		if i := slices.IndexFunc(all, func(v version) bool { return v.version == exact }); i >= 0 {
			return all[i], nil
		}
	}
	constraint, err := semver.NewConstraint(wanted)
	if err != nil {
		return version{}, mcpkit.Errorf(mcpkit.Invalid, "version %q is neither a version nor a range such as ^1.2 or >=1.0 <2.0", short(wanted))
	}
	for _, v := range all {
		if parsed, err := semver.NewVersion(v.version); err == nil && constraint.Check(parsed) {
			return v, nil
		}
	}
	return version{}, mcpkit.Errorf(mcpkit.NotFound, "%s has no version %s; it has %s", chart, short(wanted), newest(all))
}

func isPrerelease(v string) bool {
	parsed, err := semver.NewVersion(v)
	return err != nil || parsed.Prerelease() != ""
}

// newest lists the first versions of many.
func newest(all []version) string {
	const shown = 8
	var names []string
	for _, v := range all[:min(shown, len(all))] {
		names = append(names, v.version)
	}
	text := strings.Join(names, ", ")
	if len(all) > shown {
		text += fmt.Sprintf(" and %d older", len(all)-shown)
	}
	return text
}

// fetchArchive follows the URL an index gives for a version, which may lead to
// another host, or to a registry.
func (b *Backend) fetchArchive(ctx context.Context, r *repository, v version, what string) ([]byte, error) {
	address, err := repo.ResolveReferenceURL(r.base.String()+"?"+r.query, v.urls[0])
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the index of %s names no usable URL for %s", r, what)
	}
	u, err := url.Parse(address)
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the index of %s names no usable URL for %s", r, what)
	}
	switch {
	case u.Scheme == registry.OCIScheme:
		return b.fetchStored(ctx, r, u, v)
	case u.Scheme != "http" && u.Scheme != "https" || r.base.Scheme == "https" && u.Scheme != "https":
		return nil, mcpkit.Errorf(mcpkit.Denied, "the index of %s names a URL that begins with %s:// for %s, which is not followed", r, u.Scheme, what)
	}
	c, err := b.visit(r)
	if err != nil {
		return nil, err
	}
	defer c.close()
	answer, err := c.get(ctx, u.String(), "the archive of "+what, nil, archiveBytes)
	return answer.data, err
}
