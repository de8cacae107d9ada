package helm

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/release"
)

// person decides about writes in tests.
type person = mcptest.Person

// lab is a chart whose values make it do what the testbed's charts do not.
const lab = `
{{- range until (int .Values.maps) }}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ $.Release.Name }}-{{ . }}"}, data: {note: "{{ $.Values.note }}", more: "{{ repeat 40 "more " }}"}}
{{- end }}
{{- if .Values.random }}
---
{apiVersion: v1, kind: Secret, metadata: {name: "{{ .Release.Name }}-random"}, stringData: {password: "{{ randAlphaNum 20 }}", user: "{{ .Values.note }}"}}
{{- end }}
{{- if .Values.clock }}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-clock"}, data: {rolled: "{{ now | unixEpoch }}"}}
{{- end }}
{{- if .Values.keep }}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: "{{ .Release.Name }}-kept", annotations: {helm.sh/resource-policy: keep}}}
{{- end }}
{{- if .Values.image }}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: "{{ .Release.Name }}"}, spec: {replicas: {{ .Values.replicas }}, selector: {matchLabels: {app: "{{ .Values.selector }}"}},
  template: {metadata: {labels: {app: "{{ .Values.selector }}"}}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: "{{ .Values.image }}", command: [sleep, "10000"]}]}}}}
{{- end }}
{{- if .Values.stateful }}
---
{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: "{{ .Release.Name }}"}, spec: {replicas: 0, serviceName: x, selector: {matchLabels: {app: "{{ .Release.Name }}"}},
  template: {metadata: {labels: {app: "{{ .Release.Name }}"}}, spec: {containers: [{name: main, image: x}]}},
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Mi}}}}]}}
{{- end }}
{{- if .Values.hook }}
---
{apiVersion: batch/v1, kind: Job, metadata: {name: "{{ .Release.Name }}-hook", annotations: {helm.sh/hook: "{{ .Values.hook }}"}}, spec: {backoffLimit: 0,
  template: {spec: {restartPolicy: Never, terminationGracePeriodSeconds: 0, containers: [{name: main, image: toolcrib.test/busybox:1, command: [sleep, "10000"]}]}}}}
{{- end }}
`

// labs writes the lab in two versions into a folder, and a chart that lacks its
// subchart, and one for a Kubernetes to come.
var labs = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "helm-lab-")
	if err != nil {
		panic(err)
	}
	madeLabs = dir
	for _, m := range []*chart.Metadata{
		{Name: "lab", Version: "1.0.0"},
		{Name: "lab", Version: "2.0.0"},
		{Name: "headless", Version: "1.0.0", Dependencies: []*chart.Dependency{{Name: "body", Version: "1.0.0"}}},
		{Name: "future", Version: "1.0.0", KubeVersion: ">=9.0.0"},
	} {
		m.APIVersion = "v2"
		c := &chart.Chart{Metadata: m, Templates: []*chart.File{{Name: "templates/all.yaml", Data: []byte(lab)}}}
		values := "{maps: 1, note: first, replicas: 1, selector: lab, image: '', hook: ''}"
		c.Raw = []*chart.File{{Name: "values.yaml", Data: []byte(values)}}
		if _, err := chartutil.Save(c, dir); err != nil {
			panic(err)
		}
	}
	return dir
})

// stocked is b with the lab in its folder of charts.
func stocked(b *Backend) *Backend {
	cfg := b.cfg
	cfg.ChartDir = labs()
	return New(cfg)
}

// writing is a session of the write server over b with p at the client.
func writing(t testing.TB, b *Backend, p *person) *mcptest.Session {
	t.Helper()
	return session(t, stocked(b), mcpkit.AccessWrite, p.Decide)
}

// done calls a write tool that must succeed, with a person who accepts, and
// returns what they were asked and the answer.
func done(t testing.TB, tool string, args map[string]any) (asked, answer string) {
	t.Helper()
	p := &person{Says: "accept"}
	a := writing(t, admin(t), p).Call(tool, args)
	require.False(t, a.IsError, a.Text)
	return strings.Join(p.Asked, "\n"), a.Text
}

// refused calls a write tool that must fail, and returns what it answers. The
// person, if asked at all, accepts.
func refused(t testing.TB, b *Backend, tool string, args map[string]any) string {
	t.Helper()
	a := writing(t, b, &person{Says: "accept"}).Call(tool, args)
	require.True(t, a.IsError, a.Text)
	return a.Text
}

// hurried writes a release of its own in a limited time, and again with twice the
// time until the answer matches what is waited for: how far a write comes in so many
// seconds is for the machine to say.
func hurried(t testing.TB, limit time.Duration, pattern string, write func(release string, limit time.Duration) string) (release, text string) {
	t.Helper()
	for ; ; limit *= 2 {
		release = "in-" + limit.String()
		if text = write(release, limit); regexp.MustCompile(pattern).MatchString(text) {
			return release, text
		}
		require.Contains(t, text, "unavailable: ")
		require.Less(t, limit, 5*time.Minute, text)
	}
}

// revisions are what is recorded of a release, oldest first, as "1 superseded".
func revisions(t testing.TB, ns, name string) []string {
	t.Helper()
	var out []string
	for _, r := range slices.Backward(recorded(t, ns, name)) {
		out = append(out, fmt.Sprintf("%d %s", r.Version, r.Info.Status))
	}
	return out
}

// recorded are the revisions of a release, newest first.
func recorded(t testing.TB, ns, name string) []*release.Release {
	t.Helper()
	all, err := newJournal(context.WithoutCancel(t.Context()), testClients(t), ns).history(Release{Name: name, Namespace: ns})
	require.NoError(t, err)
	return all
}

// objects are those of a namespace, as "configmap/web", without what every
// namespace has and without records of releases.
func objects(t testing.TB, ns string) []string {
	t.Helper()
	names := strings.Fields(kubectl(t, "get", "configmaps,secrets,services,deployments,statefulsets,jobs,poddisruptionbudgets", "-n", ns, "-o", "name"))
	return slices.DeleteFunc(names, func(n string) bool {
		return strings.HasPrefix(n, "configmap/kube-root-ca") || strings.HasPrefix(n, "secret/sh.helm.release")
	})
}

func kubectl(t testing.TB, args ...string) string {
	t.Helper()
	out, err := cluster().Kubectl(context.WithoutCancel(t.Context()), args...)
	require.NoError(t, err, string(out))
	return strings.TrimSpace(string(out))
}

// written are the requests by which b's user changed anything during f, dry
// runs and refused ones apart, as "create configmaps web".
func written(t testing.TB, b *Backend, f func()) []string {
	t.Helper()
	mark, err := cluster().AuditMark()
	require.NoError(t, err)
	f()
	events, err := cluster().Audit(mark)
	require.NoError(t, err)
	out := []string{}
	for _, e := range events {
		reads := slices.Contains([]string{"get", "list", "watch"}, e.Verb)
		if !strings.HasPrefix(e.UserAgent, b.cfg.UserAgent) || e.Stage != "ResponseComplete" || reads || e.Code >= 400 || strings.Contains(e.RequestURI, "dryRun=All") {
			continue
		}
		out = append(out, e.Verb+" "+e.Resource+" "+e.Name)
	}
	return out
}

// noServices are the rules of the write tools but for Services.
func noServices() []mcpkit.Rule {
	var out []mcpkit.Rule
	for _, r := range writeRules {
		r.Resources = slices.DeleteFunc(slices.Clone(r.Resources), func(s string) bool { return s == "services" })
		out = append(out, r)
	}
	return append(out, mcpkit.Rule{Groups: []string{""}, Resources: []string{"services"}, Verbs: []string{"get", "list"}})
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := t.TempDir() + "/file.yaml"
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}
