package helm

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// plant writes a Secret as Helm names and labels the record of a revision, with
// data of the test's own.
func plant(t testing.TB, ns, release string, revision int, status string, at time.Time, data []byte) {
	t.Helper()
	_, err := testClients(t).typed.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("sh.helm.release.v1.%s.v%d", release, revision),
			Labels: map[string]string{"owner": "helm", "name": release, "version": strconv.Itoa(revision), "status": status,
				"modifiedAt": strconv.FormatInt(at.Unix(), 10)},
		},
		Type: "helm.sh/release.v1",
		Data: map[string][]byte{"release": data},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// inGzip is raw as Helm packs a release.
func inGzip(t testing.TB, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	require.NoError(t, err)
	_, err = z.Write(raw)
	require.NoError(t, err)
	require.NoError(t, z.Close())
	return []byte(base64.StdEncoding.EncodeToString(b.Bytes()))
}

// minimal is the JSON of a release with a chart of that name.
func minimal(chart, description string) []byte {
	return fmt.Appendf(nil, `{"name":"x","info":{"description":%q,"deleted":"","first_deployed":"2026-01-02T03:04:05Z"},"chart":{"metadata":{"name":%q,"version":"1.2.3","appVersion":"9","apiVersion":"v3"}},"manifest":"","version":1}`, description, chart)
}

func TestListReleasesShowsTroubleFirst(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.0.0")
	h.put(t, ns, "web", "web", "1.1.0")
	h.put(t, ns, "zoo", "with-hooks", "1.0.0")
	_, err := h.try(t, h.putting(ns, "zoo", "with-hooks", "1.1.0", []string{"--set", "hooks.preUpgrade=fail"})...)
	require.Error(t, err)
	plant(t, ns, "stuck", 1, "superseded", time.Now().Add(-3*time.Hour), inGzip(t, minimal("web", "")))
	plant(t, ns, "stuck", 2, "pending-upgrade", time.Now().Add(-2*time.Hour), inGzip(t, minimal("web", "Preparing upgrade")))

	var out ListReleasesOut
	a := reading(t).Call("helm_list_releases", map[string]any{"namespace": ns})
	a.Into(t, &out)
	require.Equal(t, `3 releases in namespace "`+ns+`": 1 deployed, 1 failed, 1 pending-upgrade`, out.Summary)
	require.Equal(t, []string{"release", "revision", "updated", "status", "chart", "app_version"}, out.Releases.Columns)
	require.Len(t, out.Releases.Rows, 3)
	require.Equal(t, "stuck", out.Releases.Rows[0][0])
	require.Equal(t, []string{"zoo", "2"}, out.Releases.Rows[1][:2])
	web := out.Releases.Rows[2]
	require.Equal(t, []string{"web", "2"}, web[:2])
	require.Equal(t, []string{"deployed", "web-1.1.0", "2.5.0"}, web[3:])
	require.Len(t, out.Findings, 2)
	require.Regexp(t, `^`+ns+`/stuck: stuck in pending-upgrade since \S+ \(120m\): a crash or a cancelled client. Helm refuses every upgrade until helm_rollback to revision 1, the last good one$`, out.Findings[0])
	require.Regexp(t, `^`+ns+`/zoo: failed since \S+ \(\d+s\) at revision 2; the last good revision is 1 \(helm_rollback\). Helm said: .*pre-upgrade hooks failed`, out.Findings[1])
	require.NotContains(t, a.Text, charts.Secrets[0])
}

func TestListReleasesHidesNoneForABadOne(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	at := time.Now().Add(-time.Hour)
	bomb := inGzip(t, bytes.Repeat([]byte{' '}, releaseBytes+1))
	lying, err := base64.StdEncoding.DecodeString(string(bomb))
	require.NoError(t, err)
	lying = []byte(base64.StdEncoding.EncodeToString(append(lying[:len(lying)-4], 9, 0, 0, 0)))
	for i, data := range [][]byte{[]byte("%%% not base64"), inGzip(t, []byte(`{"info":`)), nil, bomb, []byte(base64.StdEncoding.EncodeToString([]byte("\x1f\x8b\x08broken"))), inGzip(t, minimal("new", "")), lying} {
		plant(t, ns, fmt.Sprintf("r%d", i), 1, "deployed", at, data)
	}
	_, err = testClients(t).typed.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "odd", Labels: map[string]string{"owner": "helm"}}}, metav1.CreateOptions{})
	require.NoError(t, err)
	for name, labels := range map[string]map[string]string{"old": {"OWNER": "TILLER", "NAME": "old-app"}, "cm": {"owner": "helm", "name": "cm-app"}} {
		_, err := testClients(t).typed.CoreV1().ConfigMaps(ns).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}

	var out ListReleasesOut
	reading(t).Call("helm_list_releases", map[string]any{"namespace": ns}).Into(t, &out)
	require.Len(t, out.Releases.Rows, 7)
	require.Equal(t, []string{"r5", "1", stamp(at), "deployed", "new-1.2.3", "9"}, out.Releases.Rows[5])
	text := fmt.Sprint(out.Findings)
	require.Contains(t, text, "Secret "+ns+"/odd says it is Helm's")
	require.Contains(t, text, "1 release not listed: "+ns+"/cm-app; kept in ConfigMaps")
	require.Contains(t, text, "1 release not listed: "+ns+"/old-app; left over from Helm 2")
	require.Regexp(t, `/r0: revision 1 of release "r0" .* cannot be read: Secret sh.helm.release.v1.r0.v1 is corrupt \(not base64`, text)
	require.Regexp(t, `/r1: .* is corrupt \(unexpected end of JSON input\)`, text)
	require.Regexp(t, `/r2: .* is corrupt \(it holds no release\)`, text)
	require.Regexp(t, `/r3: .* unpacks to more than 32 MiB`, text)
	require.Regexp(t, `/r4: .* is corrupt \(not gzip`, text)
	require.Regexp(t, `/r6: .* is corrupt \(not gzip: longer than it says\)`, text)
}

func TestListReleasesFiltersSortsAndContinues(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	for i := range 7 {
		plant(t, ns, fmt.Sprintf("app-%d", i), 1, "deployed", time.Now().Add(-time.Duration(i)*time.Hour), inGzip(t, minimal([]string{"web", "cache"}[i%2], "")))
	}
	plant(t, ns, "gone", 1, "uninstalled", time.Now().Add(-time.Minute), inGzip(t, minimal("web", "")))
	s := reading(t)
	names := func(args map[string]any) (out []string) {
		args["namespace"] = ns
		for {
			var page ListReleasesOut
			s.Call("helm_list_releases", args).Into(t, &page)
			for _, row := range page.Releases.Rows {
				out = append(out, row[0])
			}
			if args["continue"] = page.Continue; page.Continue == "" {
				return out
			}
			out = append(out, "|")
		}
	}
	require.Equal(t, []string{"app-0", "app-1", "app-2", "|", "app-3", "app-4", "app-5", "|", "app-6", "gone"}, names(map[string]any{"limit": 3}))
	require.Equal(t, []string{"app-0", "gone", "app-1"}, names(map[string]any{"sort": "updated"})[:3])
	require.Equal(t, []string{"app-1", "|", "app-3", "|", "app-5"}, names(map[string]any{"chart": "cache", "limit": 1})[:5])
	require.Equal(t, []string{"gone"}, names(map[string]any{"status": "uninstalled"}))
	require.Equal(t, []string{"app-3"}, names(map[string]any{"name": "p-3"}))
	require.Equal(t, []string{"app-4"}, names(map[string]any{"label_selector": "name=app-4"}))
	require.Empty(t, names(map[string]any{"label_selector": "tier"}))
	a := s.Call("helm_list_releases", map[string]any{"label_selector": "a=("})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "invalid: label_selector")
}

func TestListReleasesWithOneNamespaceGranted(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	plant(t, ns, "web", 1, "deployed", time.Now(), inGzip(t, minimal("web", "")))
	s := session(t, granted(t, ns, listReleases.Rules...), mcpkit.AccessRead, nil)
	var out ListReleasesOut
	s.Call("helm_list_releases", map[string]any{"namespace": ns}).Into(t, &out)
	require.Len(t, out.Releases.Rows, 1)
	a := s.Call("helm_list_releases", nil)
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: nobody has granted listing releases in all namespaces. It may well be granted in some: call again with namespace.")
	a = s.Call("helm_list_releases", map[string]any{"namespace": "kube-system"})
	require.Contains(t, a.Text, `:server may not list the Secrets in which Helm keeps releases in namespace "kube-system"`)
}

func TestListReleasesOfHelm4(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	helm4(t).put(t, ns, "web", "web", "1.0.0")
	var out ListReleasesOut
	reading(t).Call("helm_list_releases", map[string]any{"namespace": ns}).Into(t, &out)
	require.Equal(t, []string{"deployed", "web-1.0.0", "2.4.1"}, out.Releases.Rows[0][3:])
	require.Empty(t, out.Findings)
}

func TestARecordThatVanishedIsSaid(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	_, err := admin(t).readHead(t.Context(), record{release: "web", namespace: ns, secret: "sh.helm.release.v1.web.v1", revision: 1})
	requireKind(t, err, mcpkit.Conflict, `revision 1 of release "web"`, "is gone since it was listed")
}

func TestACancelledListEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := admin(t).listReleases(ctx, ListReleasesIn{})
	require.ErrorIs(t, err, context.Canceled)
}
