package helm

import (
	"errors"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"
	"sigs.k8s.io/yaml"
)

// repository is one place the operator has configured charts to come from: a
// chart repository over HTTP, or a path in an OCI registry.
type repository struct {
	repo.Entry
	base  *url.URL // without credentials and query
	query string   // of the configured URL, which may be a credential

	// local is whether the operator put it on this machine: only then may it
	// lead on to addresses of this machine.
	local bool
}

// nameForm is what a repository may be called, and a part of a chart's name.
var nameForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)

// newRepository checks one entry of the repositories file.
func newRepository(e repo.Entry) (*repository, error) {
	u, err := url.Parse(strings.TrimSpace(e.URL))
	switch {
	case !nameForm.MatchString(e.Name):
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the repositories file names a repository %q; a name is made of letters, digits, dots and dashes", e.Name)
	case err != nil || u.Host == "" || !slices.Contains([]string{"http", "https", registry.OCIScheme}, u.Scheme):
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the URL of repository %q is none that begins with https://, http:// or oci://; a person must correct the repositories file", e.Name)
	}
	if u.User != nil && e.Username == "" {
		e.Username = u.User.Username()
		e.Password, _ = u.User.Password()
	}
	r := &repository{Entry: e, query: u.RawQuery}
	r.base = &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: strings.TrimRight(u.Path, "/")}
	r.local = isLoopback(u.Hostname())
	return r, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// String names the repository and where it is, without its credentials.
func (r *repository) String() string { return r.Name + " (" + r.base.String() + ")" }

func (r *repository) isRegistry() bool { return r.base.Scheme == registry.OCIScheme }

// repositories are those of the operator's file, in its order. A file that is
// not there configures none.
func (b *Backend) repositories() ([]*repository, error) {
	if b.cfg.Repositories == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(b.cfg.Repositories)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the repositories file cannot be read: %w", err)
	}
	return parseRepositories(raw)
}

func parseRepositories(raw []byte) ([]*repository, error) {
	var file repo.File
	if err := yaml.Unmarshal(raw, &file); err != nil { // whose text may repeat a password
		return nil, &mcpkit.Error{Kind: mcpkit.Unavailable, Text: "the repositories file is not what helm writes (repositories: a list of name and url); a person must correct it", Err: err}
	}
	var out []*repository
	for _, e := range file.Repositories {
		if e == nil {
			continue
		}
		r, err := newRepository(*e)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// repository returns the configured repository of that name.
func (b *Backend) repository(name string) (*repository, error) {
	all, err := b.repositories()
	if err != nil {
		return nil, err
	}
	if i := slices.IndexFunc(all, func(r *repository) bool { return r.Name == name }); i >= 0 {
		return all[i], nil
	}
	return nil, mcpkit.Errorf(mcpkit.NotFound, "no repository %q is configured. %s", name, configured(all, name))
}

// configured says which repositories there are, nearest to wanted first.
func configured(all []*repository, wanted string) string {
	if len(all) == 0 {
		return "None is: a person must start the server with --repositories, or name one with helm_repo_add"
	}
	var names []string
	for _, r := range all {
		names = append(names, r.Name)
	}
	if near := mcpkit.Nearest(wanted, names); len(near) > 0 {
		return "Did you mean " + near[0] + "? Configured are: " + listed(names)
	}
	return "Configured are: " + listed(names)
}

// listed joins the first of many names.
func listed(names []string) string {
	const shown = 20
	text := strings.Join(names[:min(shown, len(names))], ", ")
	if len(names) > shown {
		text += ", ..."
	}
	return text
}
