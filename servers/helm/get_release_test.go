package helm

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

// requireNoSecrets requires that nothing the charts keep secret is in an answer.
func requireNoSecrets(t testing.TB, a mcptest.Answer) {
	t.Helper()
	for _, form := range []string{a.Text, string(a.JSON)} {
		require.NotContains(t, form, "NotForYourEyes")
		for _, secret := range charts.Secrets {
			require.NotContains(t, form, base64.StdEncoding.EncodeToString([]byte(secret)))
		}
	}
}

func TestGetRelease(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.0.0", "--set", "auth.adminPassword=mine-NotForYourEyes,replicas=2")
	h.put(t, ns, "web", "web", "1.1.0")
	s := session(t, granted(t, ns, getRelease.Rules...), mcpkit.AccessRead, nil)
	get := func(args map[string]any) (out GetReleaseOut) {
		args["name"], args["namespace"] = "web", ns
		a := s.Call("helm_get_release", args)
		a.Into(t, &out)
		requireNoSecrets(t, a)
		return out
	}
	out := get(map[string]any{})
	require.Equal(t, 2, out.Revision)
	require.Equal(t, []string{"web-1.1.0", "2.5.0", "deployed", ""}, []string{out.Chart, out.AppVersion, out.Status, out.Description})
	require.Contains(t, out.Objects.Rows, []string{"Deployment", "web"})
	require.EqualValues(t, 2, out.Values["replicas"])
	require.Regexp(t, `^web 1.1.0 is installed as web in \S+\n\nSign in as admin with password: redacted:[0-9a-f]{8}$`, out.Notes)

	out = get(map[string]any{"revision": 1, "what": "values"})
	require.Equal(t, []string{"not the newest: that is revision 2 (deployed)"}, out.Findings)
	require.EqualValues(t, 2, out.Values["replicas"])
	require.Regexp(t, `^redacted:`, out.Values["auth"].(map[string]any)["adminPassword"])

	out = get(map[string]any{"what": "all_values"})
	require.Equal(t, "It works.", out.Values["page"])
	require.Regexp(t, `^redacted:`, out.Values["apiToken"])

	out = get(map[string]any{"what": "manifest"})
	require.Contains(t, out.Manifest, "kind: Deployment")
	require.Regexp(t, `admin-password: "?redacted:`, out.Manifest)
	out = get(map[string]any{"what": "manifest", "resource_type": "service"})
	require.Equal(t, 1, strings.Count(out.Manifest, "---"))
	require.Contains(t, out.Manifest, "targetPort: http")
	require.Contains(t, get(map[string]any{"what": "all"}).Manifest, "kind: Service")

	for want, args := range map[string]map[string]any{
		`not_found: release "web" in namespace "` + ns + `" has no revision 9; Helm keeps 2, 1`: {"revision": 9},
		`not_found: there is no release "we"`:                                                   {"name": "we"},
		`may not list the Secrets in which Helm keeps releases in namespace "default"`:          {"namespace": "default"},
		"has no such object; it has PodDisruptionBudget/":                                       {"resource_type": "ingress"},
	} {
		all := map[string]any{"name": "web", "namespace": ns}
		for k, v := range args {
			all[k] = v
		}
		a := s.Call("helm_get_release", all)
		require.True(t, a.IsError)
		require.Contains(t, a.Text, want)
	}
}

func TestGetReleaseOfHelm4AndItsHooks(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	helm4(t).put(t, ns, "zoo", "with-hooks", "1.0.0", "--wait")
	var out GetReleaseOut
	reading(t).Call("helm_get_release", map[string]any{"name": "zoo", "namespace": ns, "what": "hooks"}).Into(t, &out)
	require.Equal(t, "ssa", out.ApplyMethod)
	require.Len(t, out.Hooks.Rows, 3)
	require.Contains(t, out.Manifest, "migrations are up to date")
	for _, row := range out.Hooks.Rows {
		if row[1] == "pre-install" {
			require.Equal(t, "Succeeded", row[4])
		}
	}
}

func TestGetReleaseIsCutAndSaysSo(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	manifest := strings.Repeat("---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: big}\n", 3000)
	raw, err := json.Marshal(map[string]any{"info": map[string]any{}, "manifest": manifest, "chart": map[string]any{"metadata": map[string]any{"name": "big"}}})
	require.NoError(t, err)
	plant(t, ns, "big", 1, "deployed", time.Now(), inGzip(t, raw))
	a := reading(t).Call("helm_get_release", map[string]any{"name": "big", "namespace": ns, "what": "manifest"})
	var out GetReleaseOut
	a.Into(t, &out)
	require.True(t, out.Truncated)
	require.LessOrEqual(t, a.Bytes, 2*24<<10)
}

func TestGetReleaseThatIsCorrupt(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	plant(t, ns, "web", 1, "deployed", time.Now(), []byte("!"))
	a := reading(t).Call("helm_get_release", map[string]any{"name": "web", "namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, `conflict: revision 1 of release "web" in namespace "`+ns+`" cannot be read: Secret sh.helm.release.v1.web.v1 is corrupt`)
}

// Whatever a Secret holds, reading it ends, in bounds.
func FuzzUnpackRelease(f *testing.F) {
	f.Add([]byte("bm90IGEgcmVsZWFzZQ=="))
	f.Add(inGzip(f, minimal("web", "x")))
	f.Add(inGzip(f, []byte(`{"info":{"notes":{},"status":3},"chart":{"metadata":null},"hooks":[null]}`)))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := openParcel(data)
		if err != nil {
			return
		}
		raw, err := p.unpack()
		require.LessOrEqual(t, len(raw), releaseBytes)
		if err == nil {
			_ = json.Unmarshal(raw, new(head))
			_ = json.Unmarshal(raw, new(revision))
		}
	})
}
