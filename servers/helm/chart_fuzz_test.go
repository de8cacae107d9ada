package helm

import (
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
	"helm.sh/helm/v3/pkg/repo"
)

// FuzzParseChart looks for a name of a chart that names a place.
func FuzzParseChart(f *testing.F) {
	for _, s := range []string{"shop/web", "oci/a/b", "web-1.0.0.tgz", "archive:web.tgz", "https://x/y", "../x", "a/../b", `a\b`, "a//b", "a/b\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := parseChart(s)
		if err != nil {
			known, ok := errors.AsType[*mcpkit.Error](err)
			require.True(t, ok)
			require.Equal(t, mcpkit.Invalid, known.Kind)
			require.True(t, !utf8.ValidString(s) || utf8.ValidString(known.Text))
			return
		}
		for _, part := range []string{n.archive, n.repository, n.name} {
			require.NotContains(t, strings.Split(part, "/"), "..", "%q", s)
			require.False(t, strings.HasPrefix(part, "/") || strings.ContainsAny(part, "\\:@?#%\x00 \n"), "%q", s)
		}
		require.NotContains(t, n.archive, "/")
		require.NotContains(t, n.repository, "/")
		require.NotEqual(t, n.archive == "", n.name == "")
	})
}

// FuzzParseIndex looks for an index that stops the server, or that yields a
// chart no tool could show.
func FuzzParseIndex(f *testing.F) {
	for _, s := range []string{
		"apiVersion: v1\nentries: {web: [{apiVersion: v2, name: web, version: 1.0.0, urls: [x]}]}",
		`{"apiVersion": "v1", "entries": {"web": [null, {}, {"name": "web", "version": "x"}]}}`,
		"apiVersion: v1\nentries: {web: null, a: [{name: a, version: 1.0.0, removed: true}]}", "", "- a", "&a [*a]",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		i, err := parseIndex(raw)
		if err != nil {
			return
		}
		n := 0
		for name, e := range i.charts {
			require.Equal(t, name, e.name)
			require.NotEmpty(t, e.versions)
			n += len(e.versions)
			for _, wanted := range []string{"", "^1", ">=0-0"} {
				_, _ = choose(name, e.versions, wanted)
			}
		}
		require.Equal(t, n, i.versions)
	})
}

// FuzzRepositories looks for a repositories file that stops the server or
// shows a password.
func FuzzRepositories(f *testing.F) {
	f.Add([]byte(repositoriesWithComments))
	f.Add([]byte("repositories: [{name: a, url: 'http://u:p@h/x?y'}]"))
	f.Add([]byte("repositories: [null, {name: a}]"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if all, err := parseRepositories(raw); err == nil {
			for _, r := range all {
				require.Nil(t, r.base.User)
				require.Empty(t, r.base.RawQuery)
			}
		}
		fresh, err := newRepository(repo.Entry{Name: "fresh", URL: "https://h.invalid/x"})
		require.NoError(t, err)
		if edited, err := withRepository(raw, &addition{repository: fresh}); err == nil {
			all, err := parseRepositories(edited)
			require.NoError(t, err)
			require.Equal(t, "fresh", all[len(all)-1].Name)
		}
	})
}

// FuzzUnpack looks for an archive that stops the server.
func FuzzUnpack(f *testing.F) {
	archive, err := charts.Chart{Name: "umbrella", Version: "1.0.0"}.Archive()
	require.NoError(f, err)
	f.Add(archive)
	f.Add(pack(f, file{"a/Chart.yaml", []byte("name: a\nversion: 1.0.0\napiVersion: v2")}, file{"a/charts/b.tgz", archive}))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if c, err := unpack(t.Context(), raw, "x"); err == nil {
			require.NotEmpty(t, c.Name())
		}
	})
}
