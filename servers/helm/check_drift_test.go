package helm

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"
)

func TestDriftsAreWhatTheReleaseStatesAndTheClusterIsNot(t *testing.T) {
	for _, c := range []struct{ name, stated, live, want string }{
		{"the same", `{spec: {a: 1}}`, `{spec: {a: 1, b: 2}, status: {x: 1}}`, ``},
		{"changed", `{spec: {a: 1}}`, `{spec: {a: 2}}`, `spec.a: 1 -> 2`},
		{"taken away", `{spec: {a: x}}`, `{spec: {}}`, `spec.a: x -> null`},
		{"empty is absent", `{spec: {a: {}, b: [], c: null, d: "", e: false, f: 0, g: {h: null}}}`, `{spec: {}}`, ``},
		{"quantities", `{spec: {resources: {cpu: 1, memory: 1024Mi, x: "0.5"}}}`, `{spec: {resources: {cpu: "1", memory: 1Gi, x: 500m}}}`, ``},
		{"a quantity changed", `{spec: {resources: {cpu: 100m}}}`, `{spec: {resources: {cpu: 200m}}}`, `spec.resources.cpu: 100m -> 200m`},
		{"no quantities in labels", `{metadata: {labels: {v: "1.0"}}}`, `{metadata: {labels: {v: "1", x: y}}}`, `metadata.labels.v: "1.0" -> "1"`},
		{"metadata of the cluster", `{metadata: {name: a, namespace: b}}`, `{metadata: {name: a, uid: c}}`, ``},
		{"default protocol", `{spec: {ports: [{port: 80}]}}`, `{spec: {ports: [{port: 80, protocol: TCP, nodePort: 3}]}}`, ``},
		{"int or string", `{spec: {ports: [{port: 80, targetPort: "80"}]}}`, `{spec: {ports: [{port: 80, targetPort: 80}]}}`, ``},
		{"items by name in any order", `{spec: {env: [{name: a, value: "1"}, {name: b, value: "2"}]}}`, `{spec: {env: [{name: b, value: "2"}, {name: a, value: "9"}]}}`, `spec.env[a].value: "1" -> "9"`},
		{"an item more", `{spec: {env: [{name: a}]}}`, `{spec: {env: [{name: a}, {name: z, value: x}]}}`, `spec.env[z]: null -> {name: z, value: x}`},
		{"an item less", `{spec: {env: [{name: a}, {name: b}]}}`, `{spec: {env: [{name: a}]}}`, `spec.env[b]: {name: b} -> null`},
		{"injected items", `{spec: {volumes: [{name: a}]}}`, `{spec: {volumes: [{name: a}, {name: kube-api-access-x}]}}`, ``},
		{"scalars", `{spec: {args: [a, b]}}`, `{spec: {args: [a, c]}}`, `spec.args: [a, b] -> [a, c]`},
		{"stringData", `{kind: Secret, stringData: {a: x}}`, `{kind: Secret, data: {a: eA==}}`, ``},
		{"wrapped base64", `{kind: Secret, data: {a: "eHh4\neHh4\n"}}`, `{kind: Secret, data: {a: eHh4eHh4}}`, ``},
		{"a key more in data", `{kind: ConfigMap, data: {a: x}}`, `{kind: ConfigMap, data: {a: x, b: z}}`, `data.b: null -> z`},
		{"data that controllers fill", `{kind: ConfigMap, metadata: {name: a}}`, `{kind: ConfigMap, data: {b: y}}`, ``},
		{"filled by an injector", `{webhooks: [{name: a, clientConfig: {caBundle: ""}}]}`, `{webhooks: [{name: a, clientConfig: {caBundle: xyz}}]}`, ``},
		{"other forms", `{spec: {a: {b: c}, d: [1]}}`, `{spec: {a: x, d: z}}`, `spec.a: {b: c} -> x; spec.d: [1] -> z`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, d := range drifts(parsed(t, c.stated), parsed(t, c.live)) {
				got = append(got, d.String()+": "+mcpkit.Flow(d.stated)+" -> "+mcpkit.Flow(d.live))
			}
			require.Equal(t, c.want, strings.Join(got, "; "))
		})
	}
}

func parsed(t testing.TB, text string) (out map[string]any) {
	t.Helper()
	raw, err := yaml.YAMLToJSON([]byte(text))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

// An upgrade's objects are as stated, right after it, on a real API server with
// its defaults and conversions.
func TestCheckDriftOfAFreshReleaseFindsNothing(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	helm3(t).put(t, ns, "web", "web", "1.1.0")
	helm4(t).put(t, ns, "zoo", "with-hooks", "1.0.0")
	s := session(t, granted(t, "", checkDrift.Rules...), mcpkit.AccessRead, nil)
	var out CheckDriftOut
	s.Call("helm_check_drift", map[string]any{"name": "web", "namespace": ns}).Into(t, &out)
	require.Equal(t, "5: 5 as stated", out.Objects)
	require.Nil(t, out.Drift)
	require.Empty(t, out.Findings)
	s.Call("helm_check_drift", map[string]any{"name": "zoo", "namespace": ns}).Into(t, &out)
	require.Equal(t, "1: 1 as stated", out.Objects)
	require.Empty(t, out.Findings)
	a := s.Call("helm_check_drift", map[string]any{"name": "wub", "namespace": ns})
	require.Contains(t, a.Text, "not_found: ")
}

func TestCheckDriftFindsWhatWasChangedByHand(t *testing.T) {
	t.Parallel()
	ns, kubectl := namespace(t), cluster().Kubectl
	helm3(t).put(t, ns, "web", "web", "1.1.0")
	for _, line := range []string{
		"scale deployment web --replicas=3",
		"set image deployment web web=toolcrib.test/busybox:2",
		"set env deployment web DEBUG=1",
		"delete service web",
		`patch secret web -p {"stringData":{"api-token":"by-hand-NotForYourEyes"}}`,
		"create configmap left",
		"label configmap left app.kubernetes.io/managed-by=Helm",
		"annotate configmap left meta.helm.sh/release-name=web meta.helm.sh/release-namespace=" + ns,
	} {
		out, err := kubectl(t.Context(), append([]string{"-n", ns}, strings.Fields(line)...)...)
		require.NoError(t, err, string(out))
	}
	var out CheckDriftOut
	a := session(t, granted(t, ns, checkDrift.Rules...), mcpkit.AccessRead, nil).Call("helm_check_drift", map[string]any{"name": "web", "namespace": ns})
	a.Into(t, &out)
	requireNoSecrets(t, a)
	require.Equal(t, "5: 2 as stated, 2 changed, 1 missing", out.Objects)
	got := map[string][]string{}
	for _, row := range out.Drift.Rows {
		got[row[0]+" "+row[1]] = row[2:]
	}
	require.Len(t, got, 4)
	require.Equal(t, []string{"2", "3"}, got["Deployment/web spec.replicas"][:2])
	image := got["Deployment/web spec.template.spec.containers[web].image"]
	require.Equal(t, []string{"toolcrib.test/busybox:1", "toolcrib.test/busybox:2"}, image[:2])
	require.Regexp(t, `^kubectl-set at 20`, image[2])
	debug := got["Deployment/web spec.template.spec.containers[web].env[DEBUG]"]
	require.Equal(t, []string{"(absent)", `{name: DEBUG, value: "1"}`}, debug[:2])
	token := got["Secret/web data.api-token"]
	require.Regexp(t, `^redacted:[0-9a-f]{8}$`, token[0])
	require.Regexp(t, `^redacted:[0-9a-f]{8}$`, token[1])
	require.NotEqual(t, token[0], token[1])
	require.NotContains(t, token[2], "perhaps")
	require.Contains(t, out.Findings, "missing: Service/web")
	require.Contains(t, out.Findings, "4 fields of 2 objects changed behind Helm's back")
	require.Contains(t, out.Findings, "not in the manifest, but marked as of this release: configmaps/left")

	_, err := kubectl(t.Context(), "-n", ns, "autoscale", "deployment", "web", "--max=5", "--cpu-percent=50")
	require.NoError(t, err)
	reading(t).Call("helm_check_drift", map[string]any{"name": "web", "namespace": ns, "resource_type": "deployment"}).Into(t, &out)
	require.Contains(t, out.Findings, "Deployment/web has 3 replicas, stated are 2: HorizontalPodAutoscaler/web scales it, which is no drift. Leave replicas out of the chart's values")
	for _, row := range out.Drift.Rows {
		require.NotEqual(t, "spec.replicas", row[1])
	}
}

func TestCheckDriftNeverCallsTheUnseenUndrifted(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	helm3(t).put(t, ns, "web", "web", "1.0.0")
	b := granted(t, ns, readReleases, look("", "configmaps", "services"))
	var out CheckDriftOut
	session(t, b, mcpkit.AccessRead, nil).Call("helm_check_drift", map[string]any{"name": "web", "namespace": ns}).Into(t, &out)
	require.Equal(t, "4: 3 as stated, 1 not looked at", out.Objects)
	require.Equal(t, `not looked at: Deployment/web (forbidden: RBAC grants no get of deployments.apps in namespace "`+ns+`")`, out.Findings[0])
	require.Contains(t, out.Findings[1], "objects beyond the manifest not searched for among (forbidden or failing): cronjobs.batch, ")
}

func TestChangedByWithoutAnyRecord(t *testing.T) {
	require.Equal(t, "unknown", changedBy(nil, []fieldStep{{key: "spec"}}))
	entries := []metav1.ManagedFieldsEntry{{Manager: "helm", FieldsV1: metav1.NewFieldsV1(`{"f:spec":{}}`)}, {Manager: "kubectl-edit"}}
	require.Equal(t, "helm", changedBy(entries, []fieldStep{{key: "spec"}}))
	require.Equal(t, "perhaps kubectl-edit", changedBy(entries, []fieldStep{{key: "data"}}))
}

func FuzzDrifts(f *testing.F) {
	f.Add(`{"spec":{"a":[{"name":"x"}]}}`, `{"spec":{"a":[{"name":1}, 3]}}`)
	f.Add(`{"kind":"Secret","stringData":{"a":1},"data":3}`, `{"metadata":3,"data":[]}`)
	f.Fuzz(func(t *testing.T, stated, live string) {
		var a, b map[string]any
		if json.Unmarshal([]byte(stated), &a) != nil || json.Unmarshal([]byte(live), &b) != nil {
			return
		}
		for _, d := range drifts(a, b) {
			require.NotEmpty(t, d.String())
			changedBy(nil, d.path)
		}
		if a["kind"] != "Secret" {
			require.Empty(t, drifts(a, a))
		}
	})
}
