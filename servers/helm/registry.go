package helm

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/registry"
	"helm.sh/helm/v3/pkg/repo"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry/remote"
	"oras.land/oras-go/v2/registry/remote/auth"
	"oras.land/oras-go/v2/registry/remote/credentials"
	"oras.land/oras-go/v2/registry/remote/errcode"
)

const (
	manifestBytes = 1 << 20
	maxTags       = 10000 // of one chart; more are not looked at
)

// plainHTTP reports whether the operator said that a registry has no TLS.
func (b *Backend) plainHTTP(host string) bool {
	return slices.Contains(b.cfg.PlainHTTPRegistries, host)
}

// registryHome is where a registry really answers.
func registryHome(host string, plain bool) *url.URL {
	if host == "docker.io" {
		host = "registry-1.docker.io"
	}
	if plain {
		return &url.URL{Scheme: "http", Host: host}
	}
	return &url.URL{Scheme: "https", Host: host}
}

// stored is one chart in an OCI registry.
type stored struct {
	*remote.Repository
	visitor *visitor
	what    string
}

// inRegistry opens a chart of a registry. Close its client after use.
func (b *Backend) inRegistry(r *repository, name string) (*stored, error) {
	c, err := b.visit(r)
	if err != nil {
		return nil, err
	}
	reference := strings.TrimSuffix(r.base.Host+r.base.Path+"/"+name, "/")
	rep, err := remote.NewRepository(reference)
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "%q cannot be the name of a chart in registry %s", name, r)
	}
	credential, err := b.credential(r)
	if err != nil {
		return nil, err
	}
	rep.PlainHTTP = c.home.Scheme == "http"
	rep.Client = &auth.Client{
		Client: c.http(),
		Cache:  auth.NewCache(),
		Credential: func(_ context.Context, host string) (auth.Credential, error) {
			if !strings.EqualFold(host, c.home.Host) {
				return auth.EmptyCredential, nil
			}
			return credential, nil
		},
	}
	return &stored{rep, c, fmt.Sprintf("chart %q", name)}, nil
}

// credential is what r is entered with: the user of the repositories file, or
// the registry's in the registry configuration. Credential helpers are
// programs, and are not run.
func (b *Backend) credential(r *repository) (auth.Credential, error) {
	if r.Username != "" {
		return auth.Credential{Username: r.Username, Password: r.Password}, nil
	}
	if b.cfg.RegistryConfig == "" {
		return auth.EmptyCredential, nil
	}
	store, err := credentials.NewFileStore(b.cfg.RegistryConfig)
	if err != nil { // whose text may repeat a password
		return auth.EmptyCredential, &mcpkit.Error{Kind: mcpkit.Unavailable, Text: "the registry configuration is not what helm registry login writes; a person must correct it", Err: err}
	}
	host := r.base.Host
	if host == "docker.io" {
		host = "https://index.docker.io/v1/"
	}
	return store.Get(context.Background(), host)
}

// answers asks the registry whether it is one and lets us in.
func (s *stored) answers(ctx context.Context) error {
	return (&remote.Registry{RepositoryOptions: remote.RepositoryOptions{
		Client: s.Client, PlainHTTP: s.PlainHTTP, Reference: s.Reference,
	}}).Ping(ctx)
}

// tags are the chart's versions as tags, in no order.
func (s *stored) tags(ctx context.Context) ([]string, error) {
	var all []string
	enough := errors.New("enough")
	err := s.Tags(ctx, "", func(page []string) error {
		if all = append(all, page...); len(all) > maxTags {
			return enough
		}
		return nil
	})
	if err != nil && !errors.Is(err, enough) {
		return nil, s.translate(ctx, err)
	}
	return all, nil
}

// pull fetches the archive of one version. The manifest is read first, so that
// nothing larger than allowed is begun.
func (s *stored) pull(ctx context.Context, tag string) ([]byte, error) {
	desc, err := s.Resolve(ctx, tag)
	if err != nil {
		return nil, s.translate(ctx, err)
	}
	if desc.Size > manifestBytes {
		return nil, mcpkit.Errorf(mcpkit.TooLarge, "the manifest of %s has %d bytes", s.what, desc.Size)
	}
	raw, err := content.FetchAll(ctx, s.Manifests(), desc)
	if err != nil {
		return nil, s.translate(ctx, err)
	}
	var manifest ocispec.Manifest
	if err := json.Unmarshal(raw, &manifest); err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the manifest of %s is not JSON: %w", s.what, err)
	}
	i := slices.IndexFunc(manifest.Layers, func(d ocispec.Descriptor) bool {
		return d.MediaType == registry.ChartLayerMediaType || d.MediaType == registry.LegacyChartLayerMediaType
	})
	if i < 0 {
		return nil, mcpkit.Errorf(mcpkit.Invalid, "what registry %s holds as %s is no Helm chart", s.visitor.r, s.what)
	}
	layer := manifest.Layers[i]
	if layer.Size > archiveBytes {
		return nil, mcpkit.Errorf(mcpkit.TooLarge, "%s has %d MiB, more than the %d MiB this server reads", s.what, layer.Size>>20, int64(archiveBytes)>>20)
	}
	archive, err := content.FetchAll(ctx, s.Blobs(), layer)
	if err != nil {
		return nil, s.translate(ctx, err)
	}
	return archive, nil
}

// translate classes what the registry said.
func (s *stored) translate(ctx context.Context, err error) error {
	if response, ok := errors.AsType[*errcode.ErrorResponse](err); ok {
		at := response.URL
		if at == nil {
			at = s.visitor.home
		}
		return s.visitor.refused(response.StatusCode, at, s.what)
	}
	switch {
	case errors.Is(err, errdef.ErrNotFound):
		return s.visitor.refused(http.StatusNotFound, s.visitor.home, s.what)
	case errors.Is(err, auth.ErrBasicCredentialNotFound):
		return s.visitor.refused(http.StatusUnauthorized, s.visitor.home, s.what)
	}
	return s.visitor.failed(ctx, err, s.what)
}

// fetchStored fetches an archive that an index keeps in a registry. The
// repository's own credentials are not for that registry.
func (b *Backend) fetchStored(ctx context.Context, from *repository, u *url.URL, v version) ([]byte, error) {
	path, tag, found := strings.Cut(u.Path, ":")
	if !found {
		tag = tagOf(v.version)
	}
	r, err := newRepository(repo.Entry{Name: from.Name, URL: registry.OCIScheme + "://" + u.Host + path})
	if err != nil {
		return nil, err
	}
	if r.local && !from.local {
		return nil, mcpkit.Errorf(mcpkit.Denied, "the index of %s leads to a registry on this machine, which no chart is fetched from", from)
	}
	s, err := b.inRegistry(r, "")
	if err != nil {
		return nil, err
	}
	defer s.visitor.close()
	return s.pull(ctx, tag)
}

// A registry's tags cannot hold the plus sign of a version.
func tagOf(version string) string { return strings.ReplaceAll(version, "+", "_") }

// stored lists a chart's versions in a registry, newest first. Tags that are
// no versions are left out.
func (s *stored) versions(ctx context.Context) ([]version, error) {
	tags, err := s.tags(ctx)
	if err != nil {
		return nil, err
	}
	type parsed struct {
		version
		semver *semver.Version
	}
	var all []parsed
	for _, tag := range tags {
		text := strings.ReplaceAll(tag, "_", "+")
		if v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v")); err == nil {
			all = append(all, parsed{version{version: text}, v})
		}
	}
	slices.SortFunc(all, func(a, b parsed) int {
		return cmp.Or(b.semver.Compare(a.semver), cmp.Compare(b.version.version, a.version.version))
	})
	var out []version
	for _, p := range all {
		out = append(out, p.version)
	}
	if len(out) == 0 {
		return nil, mcpkit.Errorf(mcpkit.NotFound, "registry %s has no version of %s", s.visitor.r, s.what)
	}
	return out, nil
}

// pullChart fetches a chart's archive from a registry.
func (b *Backend) pullChart(ctx context.Context, r *repository, name, wanted string) (fetched, error) {
	s, err := b.inRegistry(r, name)
	if err != nil {
		return fetched{}, err
	}
	defer s.visitor.close()
	out := fetched{}
	if out.versions, err = s.versions(ctx); err != nil {
		return fetched{}, err
	}
	v, err := choose(r.Name+"/"+name, out.versions, wanted)
	if err != nil {
		return fetched{}, err
	}
	out.from = fmt.Sprintf("%s %s from registry %s", name, v.version, r)
	out.archive, err = s.pull(ctx, tagOf(v.version))
	return out, err
}
