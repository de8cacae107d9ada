package helm

import (
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/charts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestGetStatusOfAReleaseThatIsWell(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "web", "web", "1.1.0", "--wait")
	s := session(t, granted(t, "", getStatus.Rules...), mcpkit.AccessRead, nil)
	var out GetStatusOut
	a := s.Call("helm_get_status", map[string]any{"name": "web", "namespace": ns})
	a.Into(t, &out)
	require.Equal(t, "5: 5 ready", out.Objects)
	require.Empty(t, out.Findings)
	require.Nil(t, out.NotReady)
	requireNoSecrets(t, a)

	require.NoError(t, testClients(t).typed.CoreV1().Services(ns).Delete(t.Context(), "web", metav1.DeleteOptions{}))
	s.Call("helm_get_status", map[string]any{"name": "web", "namespace": ns}).Into(t, &out)
	require.Equal(t, "5: 4 ready, 1 missing", out.Objects)
	require.Equal(t, [][]string{{"Service/web", "Missing", ""}}, out.NotReady.Rows)
	require.Equal(t, []string{"1 of 5 objects are missing or not ready"}, out.Findings)

	a = s.Call("helm_get_status", map[string]any{"name": "wob", "namespace": ns})
	require.Contains(t, a.Text, "not_found: ")
}

func TestGetStatusSaysWhatItMayNotLookAt(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	helm3(t).put(t, ns, "web", "web", "1.0.0")
	b := granted(t, ns, readReleases, look("apps", "deployments"), look("", "configmaps"))
	var out GetStatusOut
	session(t, b, mcpkit.AccessRead, nil).Call("helm_get_status", map[string]any{"name": "web", "namespace": ns}).Into(t, &out)
	require.Contains(t, out.Objects, "1 not looked at")
	require.Contains(t, out.Findings, `not looked at: Service/web (forbidden: RBAC grants no get of services in namespace "`+ns+`")`)

	a := session(t, granted(t, "", readObjects...), mcpkit.AccessRead, nil).Call("helm_get_status", map[string]any{"name": "web", "namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "denied: ")
}

func TestGetStatusOfPodsThatDoNotStart(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	helm3(t).put(t, ns, "web", "web", "1.0.0", "--set", "image=toolcrib.test/none:1")
	s := reading(t)
	within(t, "the image is found missing", func() bool {
		var out GetStatusOut
		s.Call("helm_get_status", map[string]any{"name": "web", "namespace": ns}).Into(t, &out)
		if out.NotReady == nil {
			return false
		}
		row := out.NotReady.Rows[0]
		return row[0] == "Deployment/web" && row[1] == "InProgress" && regexp.MustCompile(`^Available: 0/1; pod web-\S+, container web: waiting: (ErrImagePull|ImagePullBackOff): `).MatchString(row[2])
	})
}

func TestGetStatusShowsTheLogOfAFailedHook(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "zoo", "with-hooks", "1.0.0")
	_, err := h.try(t, h.putting(ns, "zoo", "with-hooks", "1.1.0", []string{"--set", "hooks.preUpgrade=fail"})...)
	require.Error(t, err)
	var out GetStatusOut
	session(t, granted(t, ns, getStatus.Rules...), mcpkit.AccessRead, nil).Call("helm_get_status", map[string]any{"name": "zoo", "namespace": ns}).Into(t, &out)
	require.Equal(t, "failed", out.Status)
	require.Regexp(t, `^failed since .* at revision 2; the last good revision is 1`, out.Findings[0])
	require.Contains(t, out.Findings, "hook Job/zoo-pre-upgrade failed")
	require.Equal(t, []string{"Job/zoo-pre-upgrade", "pre-upgrade", "Failed"}, out.Hooks.Rows[0][:3])
	require.Contains(t, out.HookLog, charts.HookFailure)
}

func TestGetStatusOfAnUpgradeThatHangs(t *testing.T) {
	t.Parallel()
	ns, h := namespace(t), helm3(t)
	h.put(t, ns, "zoo", "with-hooks", "1.0.0")
	ctx, cancel := context.WithCancel(t.Context())
	done := h.start(t, ctx, h.putting(ns, "zoo", "with-hooks", "1.1.0", []string{"--set", "hooks.preUpgrade=hang"})...)
	s := reading(t)
	var out GetStatusOut
	within(t, "the hook has said what it waits for", func() bool {
		s.Call("helm_get_status", map[string]any{"name": "zoo", "namespace": ns}).Into(t, &out)
		return out.HookLog != ""
	})
	cancel()
	<-done
	require.Equal(t, "pending-upgrade", out.Status)
	require.Contains(t, out.HookLog, charts.HookHang)
	require.Regexp(t, `^pending-upgrade since \S+ \(\d+s\): an operation may still be running$`, out.Findings[0])
	b := admin(t)
	b.now = func() time.Time { return time.Now().Add(time.Hour) }
	session(t, b, mcpkit.AccessRead, nil).Call("helm_get_status", map[string]any{"name": "zoo", "namespace": ns}).Into(t, &out)
	require.Regexp(t, `^stuck in pending-upgrade since \S+ \(60m\): a crash or a cancelled client`, out.Findings[0])
	require.Regexp(t, `^hook Job/zoo-pre-upgrade has not ended since `, out.Findings[1])
}
