package charts

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/strvals"
)

// TestRefused gives values that cannot be meant, as --set takes them, and wants
// to be told what is wrong with them.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ chart, set, says string }{
		{"kubernetes", "replica=2", "additional properties 'replica' not allowed"},
		{"kubernetes", "write.enable=true", "at '/write': additional properties 'enable' not allowed"},
		{"kubernetes", "crib.replicas=2", "additional properties 'replicas' not allowed"},
		{"kubernetes", "replicas=many", "at '/replicas': got string, want integer"},
		{"kubernetes", "namespaces=a", "at '/namespaces': got string, want array"},
		{"kubernetes", "namespaces={*}", "at '/namespaces/0'"},
		{"kubernetes", "prometheus.url=http://p", "additional properties 'prometheus' not allowed"},
		{"kubernetes", "runAsUser=0", "at '/runAsUser': minimum"},
		{"kubernetes", "auth.mode=none", "at '/auth/mode': value must be one of 'kubernetes', 'oidc'"},
		{"kubernetes", "auth.mode=oidc", "auth.mode=oidc needs auth.oidc.issuerURL"},
		{"kubernetes", "auth.oidc.issuerURL=https://login.example.com", "set auth.mode=oidc as well"},
		{"kubernetes", "auth.mode=oidc,auth.oidc.issuerURL=http://login.example.com", "at '/auth/oidc/issuerURL'"},
		{"kubernetes", "callers[0].kind=ServiceAccount,callers[0].name=agent", "at '/callers/0': missing property 'namespace'"},
		{"kubernetes", "callers[0].kind=ServiceAccount,callers[0].namespace=agents/x,callers[0].name=triage", "at '/callers/0/namespace'"},
		{"kubernetes", "callers[0].kind=ServiceAccount,callers[0].namespace=agents,callers[0].name=Triage", "at '/callers/0/name'"},
		{"kubernetes", "callers[0].kind=Robot,callers[0].name=agent", "at '/callers/0/kind'"},
		{"kubernetes", "callers[0].kind=User,callers[0].name=ada,callers[0].tools={*}", "at '/callers/0/tools/0'"},
		{"kubernetes", "callers[0].kind=User,callers[0].name=ada,callers[0].tools={k8s_scale}", "ada is granted k8s_scale, which is no read tool of this server; its tools are k8s_check_access, "},
		{"kubernetes", "callers[0].kind=User,callers[0].name=ada,callers[0].tools=null", "at '/callers/0/tools': got null, want array"},
		{"kubernetes", "callers[0].kind=User,callers[0].name=ada,callers[1].kind=User,callers[1].name=ada", "at '/callers': items at 0 and 1 are equal"},
		{"kubernetes", "audience=two words", "at '/audience'"},
		{"kubernetes", `labels.app\.kubernetes\.io/part-of=platform`, "labels holds app.kubernetes.io/part-of, and the chart sets the labels of app.kubernetes.io and helm.sh itself"},
		{"kubernetes", `podLabels.app\.kubernetes\.io/component=web`, "podLabels holds app.kubernetes.io/component, and"},
		{"kubernetes", "rbac.extraRules[0].apiGroups={*},rbac.extraRules[0].resources={x},rbac.extraRules[0].verbs={get}", "at '/rbac/extraRules/0/apiGroups/0'"},
		{"kubernetes", "rbac.extraRules[0].apiGroups={x.io},rbac.extraRules[0].resources={x},rbac.extraRules[0].verbs={delete}", "at '/rbac/extraRules/0/verbs/0': value must be one of 'get', 'list', 'watch'"},
		{"kubernetes", "identity.groups={system:masters}", "at '/identity/groups/0'"},
		{"kubernetes", "identity.users={system:serviceaccount:a:agent}", "at '/identity/users/0'"},
		{"kubernetes", "identity.users={bea}", "identity.users is set, but the cluster is asked as the server: set identity.mode=caller as well"},
		{"kubernetes", "identity.mode=caller,namespaces={a}", "namespaces is set, but the cluster is asked as each caller"},
		{"kubernetes", "write.callers[0].kind=User,write.callers[0].name=ada", "write.callers is set, but there is no write server: set write.enabled=true as well"},
		{"kubernetes", "writeNamespaces={a}", "writeNamespaces is set, but there is no write server"},
		{"kubernetes", "allowedURLHosts={example.com}", "allowedURLHosts is set, but there is no write server"},
		{"kubernetes", "allowedURLHosts={https://example.com/}", "at '/allowedURLHosts/0'"},
		{"kubernetes", "fullnameOverride=" + "a23456789b123456789c123456789d123456789e123456789f12345678", "at '/fullnameOverride'"},
		{"kubernetes", "image.digest=latest", "at '/image/digest'"},
		{"kubernetes", "image.tag=v1@sha256:1f2e", "at '/image/tag'"},
		{"kubernetes", "labels.team=sre,podLabels.team=web", "podLabels and labels both hold team: leave it out of one of them"},
		{"kubernetes", "labels.team=sre,serviceMonitor.labels.team=web", "serviceMonitor.labels and labels both hold team"},
		{"kubernetes", `annotations.toolcrib\.dev/access=read`, "annotations holds toolcrib.dev/access, and the chart sets the annotations of toolcrib.dev itself"},
		{"kubernetes", "autoscaling.enabled=true,autoscaling.minReplicas=9", "autoscaling.minReplicas=9 is more than autoscaling.maxReplicas=5"},
		{"prometheus", "namespaces={a}", "additional properties 'namespaces' not allowed"},
		{"prometheus", "prometheus.url=", "at '/prometheus/url'"},
		{"prometheus", "prometheus.url=http://ada:hunter2@prometheus:9090", "prometheus.url holds credentials, which whoever sees the release could read: put them into the Secret of prometheus.httpConfigSecret"},
		{"prometheus", "names=upstream", "at '/names': value must be one of 'toolcrib', 'kagent'"},
		{"prometheus", "names=kagent,callers[0].kind=User,callers[0].name=ada,callers[0].tools={prometheus_query}", "which is no read tool"},
		{"helm", "repositories[0].name=shop,repositories[0].url=https://x,repositories[0].password=p", "additional properties 'password' not allowed"},
		{"helm", "repositories[0].name=shop,repositories[0].url=https://ada:hunter2@x", "repositories holds credentials, which whoever sees the release could read: put them into the file of repositoriesSecret"},
		{"helm", "repositoriesSecret=x,repositoriesClaim=y", "repositoriesSecret and repositoriesClaim are set, and repositories can come from one of them alone"},
		{"helm", "write.enabled=true,allowedRepositoryHosts={example.com}", "set repositoriesClaim to the PersistentVolumeClaim that keeps it"},
		{"helm", "clusterWide=true,namespaces={a}", "namespaces is set, but the tools work in the whole cluster: leave out clusterWide or this"},
	} {
		t.Run(c.chart+" "+c.set, func(t *testing.T) {
			values, err := strvals.Parse(c.set)
			require.NoError(t, err)
			_, err = render(t, chartAt(t, c.chart), values)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
}

// TestNoDefaultIsRefused where a default keeps something shut, or nothing works
// without it: null takes it away.
func TestNoDefaultIsRefused(t *testing.T) {
	for set, says := range map[string]string{
		"helm clusterWide":                         "missing property 'clusterWide'", // else all Secrets of the cluster could be read
		"kubernetes networkPolicy.enabled":         "at '/networkPolicy': missing property 'enabled'",
		"kubernetes networkPolicy.apiServer":       "at '/networkPolicy': missing property 'apiServer'",
		"kubernetes shutdown.delaySeconds":         "at '/shutdown': missing property 'delaySeconds'",
		"prometheus auth.mode":                     "at '/auth': missing property 'mode'",
		"prometheus networkPolicy.apiServer.ports": "at '/networkPolicy/apiServer': missing property 'ports'",
	} {
		chart, value, _ := strings.Cut(set, " ")
		values, err := strvals.Parse(value + "=null")
		require.NoError(t, err)
		_, err = render(t, chartAt(t, chart), values)
		require.ErrorContains(t, err, says, set)
	}
}

// TestNullIsAsGoodAsEmpty: whoever leaves a list in a file and comments all below
// its key out writes null.
func TestNullIsAsGoodAsEmpty(t *testing.T) {
	for _, path := range servers {
		c := chartAt(t, path)
		common := map[string]any{"key": map[string]any{"existingSecret": "key"}, "write": map[string]any{"enabled": true}}
		as, err := render(t, c, common)
		require.NoError(t, err)
		schema := schemaAt(t, path+"/values.schema.json")
		for name, property := range schema["properties"].(map[string]any) {
			known := c.Values[name] != nil && name != "resources" && name != "runAsUser" // for which null means more
			if !known || !allowsNothing(referred(schema, property.(map[string]any)), c.Values[name]) {
				continue
			}
			values := maps.Clone(common)
			values[name] = nil
			r, err := render(t, c, values)
			require.NoError(t, err, "%s %s", path, name)
			require.True(t, as.manifest == r.manifest, "%s %s", path, name)
		}
	}
}

// TestAnEmptyListOfNamesIsRefused: to RBAC it would mean every name.
func TestAnEmptyListOfNamesIsRefused(t *testing.T) {
	for set, at := range map[string]string{
		`callers=[{"kind":"User","name":"ada","tools":[]}]`:                                             "/callers/0/tools",
		`identity={"mode":"caller","extras":{"scopes":[]}}`:                                             "/identity/extras/scopes",
		`rbac.extraRules=[{"apiGroups":["x.io"],"resources":["x"],"resourceNames":[],"verbs":["get"]}]`: "/rbac/extraRules/0/resourceNames",
	} {
		values := map[string]any{}
		require.NoError(t, strvals.ParseJSON(set, values))
		_, err := render(t, chartAt(t, "kubernetes"), values)
		require.ErrorContains(t, err, "at '"+at+"': minItems: got 0, want 1")
	}
}
