package kubernetes

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/json"
)

func sample(t testing.TB) map[string]any {
	t.Helper()
	var o map[string]any
	require.NoError(t, json.Unmarshal([]byte(`{
		"metadata": {"name": "web", "labels": {"app.kubernetes.io/name": "shop", "a b": "c"}},
		"spec": {"replicas": 3, "big": 1000650000, "ratio": 0.5, "paused": false, "none": null,
			"containers": [{"name": "web", "image": "web:1", "ports": [{"port": 80}, {"port": 443}]}, {"name": "side", "image": "side:2"}]},
		"status": {"conditions": [{"type": "Ready", "status": "True"}, {"type": "Synced", "status": "False"}]}
	}`), &o))
	return o
}

func TestPathsSelect(t *testing.T) {
	for expression, want := range map[string]string{
		".metadata.name":                                   "web",
		"metadata.name":                                    "web",
		"{.metadata.name}":                                 "web",
		"$.metadata.name":                                  "web",
		" .metadata.name ":                                 "web",
		".spec.replicas":                                   "3",
		".spec.big":                                        "1000650000",
		".spec.ratio":                                      "0.5",
		".spec.paused":                                     "false",
		".spec.none":                                       "",
		".spec.nope.nope":                                  "",
		".spec.replicas.x":                                 "",
		".metadata.name.x":                                 "",
		".spec.replicas[0]":                                "",
		".spec.containers[7].name":                         "",
		".spec.containers[-1].name":                        "side",
		".spec.containers[*].image":                        "web:1,side:2",
		".spec.containers[0,1].name":                       "web,side",
		".spec.containers[0].ports[*]":                     `{"port":80},{"port":443}`,
		".spec.containers[0:1].name":                       "web",
		"..port":                                           "80,443",
		".metadata.labels['app.kubernetes.io/name']":       "shop",
		`.metadata.labels["app.kubernetes.io/name"]`:       "shop",
		`.metadata.labels.app\.kubernetes\.io/name`:        "shop",
		`.metadata.labels['a b']`:                          "c",
		`['metadata']['name']`:                             "web",
		`.status.conditions[?(@.type=="Ready")].status`:    "True",
		`.status.conditions[?(@.type=='Ready')].status`:    "True",
		`.status.conditions[?(@['type']=="Ready")].status`: "True",
		`.spec.containers[?(@.ports)].name`:                "web",
		`.spec.containers[0].ports[?(@.port>100)].port`:    "443",
	} {
		p, err := parsePath(expression)
		require.NoError(t, err, expression)
		for range 2 { // an expression keeps nothing of the object before
			require.Equal(t, want, p.text(sample(t)), expression)
		}
	}
}

func TestPathsRefuseWhatIsNotASelection(t *testing.T) {
	for _, expression := range []string{
		"", " ", ".", "..", "{}", "$", "{range .items[*]}{.name}{end}", ".a}{.b", ".a{.b", ".a b", ".a 3", ".a[", ".a[?(", ".a[x]", ".a\n.b",
		"..a..b", ".a[0,1][0,1]", "..a[0,1]", ".a[?(@..b)]..c", ".a[?(@..b==@..c)]", ".a[?(range .x)]", strings.Repeat(".a", 200),
	} {
		_, err := parsePath(expression)
		require.ErrorContains(t, err, "JSONPath", expression)
		require.Less(t, len(err.Error()), 700)
	}
}

func FuzzPath(f *testing.F) {
	for _, seed := range []string{
		".spec.containers[*].image", "..port", ".a[?(@.b==\"c\")].d", ".a['b.c']", ".a[-1:]", ".a[::2]", ".a[0,1]", "{.a}", "$..*", ".a\\", ".a[?(@.x<3)]", "['a']['b']",
	} {
		f.Add(seed)
	}
	o := sample(f)
	f.Fuzz(func(t *testing.T, expression string) {
		p, err := parsePath(expression)
		if err != nil {
			return
		}
		_ = p.text(o)
	})
}

func FuzzResume(f *testing.F) {
	f.Add(resumeToken{7, "t", "1", 3}.String())
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseResume(s)
		if err != nil {
			require.Zero(t, r)
			return
		}
		require.GreaterOrEqual(t, r.Skip, 0)
		again, err := parseResume(r.String())
		require.NoError(t, err)
		require.Equal(t, r, again)
	})
}

func FuzzSelection(f *testing.F) {
	f.Add("a=b,c in (d,e),!f", "status.phase!=Running")
	f.Fuzz(func(t *testing.T, labels, fields string) {
		if err := (Selection{labels, fields}).validate(); err != nil {
			require.ErrorContains(t, err, "invalid: ")
		}
	})
}

func FuzzSortKey(f *testing.F) {
	f.Add("5m", "3 (5m ago)", "<none>", true)
	f.Add("250m", "1Gi", "45%", false)
	f.Fuzz(func(t *testing.T, a, b, c string, ages bool) {
		x, y, z := newSortKey(a, ages), newSortKey(b, ages), newSortKey(c, ages)
		for _, descending := range []bool{false, true} {
			require.Equal(t, x.compare(y, descending), -y.compare(x, descending))
			if x.compare(y, descending) <= 0 && y.compare(z, descending) <= 0 {
				require.LessOrEqual(t, x.compare(z, descending), 0, "%q %q %q", a, b, c)
			}
		}
	})
}

// What is redacted for one field is what the field can reach, and what says
// that it is a secret.
func TestPathsKeepWhatTellsASecret(t *testing.T) {
	o := map[string]any{
		"kind": "Secret", "type": "Opaque", "metadata": map[string]any{"name": "db"},
		"data": map[string]any{"color": "aGVsaW90cm9wZQ==", "other": "eA=="},
		"spec": map[string]any{"param": map[string]any{"name": "password", "value": "x"}, "list": []any{map[string]any{"name": "password", "value": "x"}}},
	}
	for expression, want := range map[string]map[string]any{
		".data.color":         {"kind": "Secret", "type": "Opaque", "data": map[string]any{"color": "aGVsaW90cm9wZQ=="}},
		".data":               {"kind": "Secret", "type": "Opaque", "data": o["data"]},
		".nope.color":         {"kind": "Secret", "type": "Opaque"},
		".spec.param.value":   {"kind": "Secret", "type": "Opaque", "spec": map[string]any{"param": map[string]any{"name": "password", "value": "x"}}},
		".spec.list[0].value": {"kind": "Secret", "type": "Opaque", "spec": map[string]any{"list": []any{map[string]any{"name": "password", "value": "x"}}}},
		"..value":             o,
		".kind.x":             {"kind": "Secret", "type": "Opaque"},
	} {
		p, err := parsePath(expression)
		require.NoError(t, err)
		require.Equal(t, want, p.around(o), expression)
	}
}
