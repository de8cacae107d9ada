package helm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	yamlv3 "go.yaml.in/yaml/v3"
	"helm.sh/helm/v3/pkg/repo"
	"sigs.k8s.io/yaml"
)

// trickyIndex is laid out as helm writes it, with texts that look like layout.
const trickyIndex = `# comment
---
apiVersion: v1
entries:
  web:
  - annotations:
      images: |
        - name: web

        # no comment
        entries:
          x: y
    apiVersion: v2
    created: "2026-01-02T03:04:05.9+02:00"
    description: "a long text
      - on: two lines"
    keywords:
    - a
    - b
    name: web
    urls:
    - web-1.0.0.tgz
    version: 1.0.0
  # between
  - apiVersion: v2
    deprecated: true
    description: newest
    name: web
    urls: [web-1.10.0.tgz]
    version: 1.10.0
  - {name: web, version: 1.9.0, urls: [x]}
  "quoted": [{apiVersion: v2, name: quoted, version: 2.0.0}]
  none: []
  null-one:
  bad:
  - name: bad
    version: not-one
  - apiVersion: v2
    name: bad
    removed: true
    version: 1.0.0
generated: "2026-01-02T03:04:05Z"
publicKeys:
- one
serverInfo:
  contextPath: /x
`

// layouts are one index as different programs write it.
func layouts(t testing.TB, index string) map[string][]byte {
	t.Helper()
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(index), &v))
	asJSON, err := json.Marshal(v)
	require.NoError(t, err)
	var indented bytes.Buffer
	require.NoError(t, json.Indent(&indented, asJSON, "", "  "))
	var deep bytes.Buffer
	e := yamlv3.NewEncoder(&deep)
	e.SetIndent(4)
	require.NoError(t, e.Encode(v))
	return map[string][]byte{
		"as written": []byte(index), "windows": []byte(strings.ReplaceAll(index, "\n", "\r\n")), "JSON": asJSON, "long JSON": indented.Bytes(),
		"deep": deep.Bytes(), "flow": append([]byte("# "), append([]byte("\n"), asJSON...)...), "end": []byte(index + "...\n---\nentries: {}\n"),
	}
}

func TestParseIndexReadsAllLayoutsAlike(t *testing.T) {
	t.Parallel()
	for layout, raw := range layouts(t, trickyIndex) {
		i, err := parseIndex(raw)
		require.NoError(t, err, layout)
		require.Len(t, i.charts, 2, layout)
		require.Equal(t, 4, i.versions, layout)
		web := i.charts["web"]
		require.Equal(t, "newest", web.description, layout)
		require.Equal(t, "1.10.0, 1.9.0, 1.0.0", newest(web.versions), layout)
		require.True(t, web.versions[0].deprecated)
		require.Equal(t, []string{"web-1.0.0.tgz"}, web.versions[2].urls)
		require.Equal(t, "2026-01-02T01:04:05Z", stamp(web.versions[2].created), layout)
		require.Equal(t, "2.0.0", newest(i.charts["quoted"].versions), layout)
	}
}

// Helm's own reading of the index that the testbed serves finds the same.
func TestParseIndexFindsWhatHelmDoes(t *testing.T) {
	t.Parallel()
	var versions strings.Builder
	for n := range 3000 {
		fmt.Fprintf(&versions, "  - apiVersion: v2\n    name: web\n    description: %s\n    version: 1.%d.%d-rc.%d\n", strings.Repeat("x", 600), n%7, n, n%3)
	}
	raw := []byte("apiVersion: v1\nentries:\n  web:\n" + versions.String())
	require.Greater(t, len(raw), wholeBytes/2)
	var file repo.IndexFile
	require.NoError(t, yaml.Unmarshal(raw, &file))
	file.SortEntries()
	i, err := parseIndex(raw)
	require.NoError(t, err)
	require.Len(t, i.charts["web"].versions, 3000)
	for n, v := range file.Entries["web"] {
		require.Equal(t, v.Version, i.charts["web"].versions[n].version)
	}
	require.Len(t, i.charts["web"].description, keptDescription)
}

func TestParseIndexRefusesWhatWouldTakeTooMuchMemory(t *testing.T) {
	t.Parallel()
	for name, raw := range map[string]string{
		"flow":        "apiVersion: v1\nentries: {web: [{apiVersion: v2, name: web, version: 1.0.0, description: " + strings.Repeat("x", wholeBytes) + "}]}",
		"one version": "apiVersion: v1\nentries:\n  web:\n  - name: web\n    version: 1.0.0\n    description: " + strings.Repeat("x", wholeBytes),
		"no chart":    "apiVersion: v1\nannotations:\n  x: " + strings.Repeat("x", wholeBytes),
		"aliases":     "apiVersion: v1\nentries:\n  web: &a\n  - *a\n" + strings.Repeat("# much\n", wholeBytes/7+1),
	} {
		_, err := parseIndex([]byte(raw))
		require.Error(t, err, name)
		requireKind(t, err, mcpkit.TooLarge, "not laid out as helm writes it")
	}
	_, err := parseIndex([]byte("apiVersion: v1\nentries: {}\n"))
	require.NoError(t, err, "as helm writes an empty one")
	_, err = parseIndex([]byte("entries:\n  web:\n"))
	require.ErrorIs(t, err, repo.ErrNoAPIVersion)
}
