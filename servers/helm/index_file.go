package helm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/repo"
	"sigs.k8s.io/yaml"
)

// Bounds of what is parsed at once: it takes thirty times its size in memory.
const (
	partBytes  = 1 << 20 // of one version, or of what an index holds besides charts
	wholeBytes = 2 << 20 // of an index that cannot be taken apart
)

// parseIndex reads an index as Helm does, YAML or JSON, and keeps the part that
// tools need. Entries that Helm would skip are skipped. It goes version by
// version, so that a large index takes little more memory than its text.
func parseIndex(data []byte) (*index, error) {
	var err error
	for _, take := range []func(*intake, []byte) error{(*intake).json, (*intake).yaml} {
		in := newIntake()
		if err = take(in, data); err == nil {
			return in.index()
		}
	}
	if len(data) > wholeBytes && !errors.Is(err, errLayout) {
		return nil, err
	}
	if len(data) > wholeBytes {
		return nil, mcpkit.Errorf(mcpkit.TooLarge, "it has %d MiB, and is not laid out as helm writes it, which is needed from %d MiB on; helm repo index writes it anew", len(data)>>20, wholeBytes>>20)
	}
	var file repo.IndexFile
	if err := yaml.Unmarshal(data, &file); err != nil {
		return nil, err
	}
	in := newIntake()
	in.apiVersion = file.APIVersion
	for name, versions := range file.Entries {
		in.add(name, versions...)
	}
	return in.index()
}

// intake collects what an index holds.
type intake struct {
	apiVersion string
	charts     map[string]*entry
	newest     map[string]*semver.Version // by chart
}

func newIntake() *intake {
	return &intake{charts: map[string]*entry{}, newest: map[string]*semver.Version{}}
}

// Bounds of what is kept of one chart; more says nothing to a reader.
const (
	keptDescription = 300
	keptKeywords    = 20
)

func (in *intake) add(name string, versions ...*repo.ChartVersion) {
	for _, v := range versions {
		if v == nil || v.Metadata == nil || v.Removed || !usable(v.Metadata) {
			continue
		}
		parsed, err := semver.NewVersion(v.Version)
		if err != nil {
			continue
		}
		e := in.charts[name]
		if e == nil {
			e = &entry{name: name}
			in.charts[name] = e
		}
		if top := in.newest[name]; top == nil || parsed.GreaterThan(top) {
			in.newest[name] = parsed
			e.description = strings.ToValidUTF8(v.Description[:min(len(v.Description), keptDescription)], "")
			e.keywords = v.Keywords[:min(len(v.Keywords), keptKeywords)]
		}
		e.versions = append(e.versions, version{
			version: v.Version, app: v.AppVersion, kube: v.KubeVersion, digest: v.Digest,
			created: v.Created.UTC(), deprecated: v.Deprecated, urls: v.URLs[:min(len(v.URLs), 3)],
		})
	}
}

// usable reports whether an entry names a version. Repositories of other makers
// leave out more than that.
func usable(m *chart.Metadata) bool {
	if m.APIVersion == "" {
		m.APIVersion = chart.APIVersionV1
	}
	m.Dependencies = nil // JFrog strips their aliases: https://github.com/helm/helm/issues/12748
	return m.Validate() == nil
}

func (in *intake) index() (*index, error) {
	if in.apiVersion == "" {
		return nil, repo.ErrNoAPIVersion
	}
	out := &index{charts: in.charts}
	for e := range maps.Values(in.charts) {
		out.versions += len(e.versions)
		sortVersions(e.versions)
	}
	return out, nil
}

// sortVersions puts the newest first.
func sortVersions(versions []version) {
	order := map[string]*semver.Version{}
	for _, v := range versions {
		order[v.version], _ = semver.NewVersion(v.version) // parsed before
	}
	slices.SortStableFunc(versions, func(a, b version) int { return order[b.version].Compare(order[a.version]) })
}

// json reads an index that is JSON.
func (in *intake) json(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	err := each(d, '{', func(key string) error {
		switch key {
		case "apiVersion":
			return d.Decode(&in.apiVersion)
		case "entries":
			return each(d, '{', func(name string) error {
				return each(d, '[', func(string) error {
					var v *repo.ChartVersion
					err := d.Decode(&v)
					in.add(name, v)
					return err
				})
			})
		}
		return d.Decode(new(skipped))
	})
	if err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one document")
	}
	return nil
}

// each calls do before each value of the object or list that comes next, which
// do reads; a null has none.
func each(d *json.Decoder, opening json.Delim, do func(key string) error) error {
	t, err := d.Token()
	if err != nil || t == nil {
		return err
	}
	if t != opening {
		return fmt.Errorf("%v instead of %v", t, opening)
	}
	for d.More() {
		key := ""
		if opening == '{' {
			t, err := d.Token()
			if err != nil {
				return err
			}
			key, _ = t.(string) // or More had been false
		}
		if err := do(key); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
