package helm

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// spoilt are records that Helm would stumble over, with what is said of them.
func spoilt(t testing.TB) map[string]struct {
	data []byte
	says string
} {
	type record = struct {
		data []byte
		says string
	}
	return map[string]record{
		"base64": {[]byte("%%%"), "conflict: nothing can be written while the newest revision is unreadable, and nothing was changed: revision 2"},
		"hollow": {inGzip(t, []byte(`{}`)), "is corrupt (it has no info or no chart)"},
		"hook":   {inGzip(t, []byte(`{"info":{},"chart":{"metadata":{}},"hooks":[null]}`)), "is corrupt"},
		"empty":  {nil, "is corrupt (it holds no release)"},
		"bomb":   {inGzip(t, bytes.Repeat([]byte{' '}, releaseBytes+1)), "too_large: nothing can be written while the newest revision is unreadable"},
	}
}

func TestNothingIsWrittenOnAnUnreadableRevision(t *testing.T) {
	t.Parallel()
	ns, p := namespace(t), &person{Says: "accept"}
	s := writing(t, admin(t), p)
	for name, c := range spoilt(t) {
		plant(t, ns, name, 1, "superseded", time.Now().Add(-2*time.Hour), inGzip(t, minimal("web", "")))
		plant(t, ns, name, 2, "deployed", time.Now().Add(-time.Hour), c.data)
		for _, tool := range []string{"helm_install", "helm_upgrade", "helm_rollback", "helm_uninstall"} {
			args := map[string]any{"name": name, "namespace": ns}
			if tool == "helm_install" || tool == "helm_upgrade" {
				args["chart"] = "shop/web"
			}
			a := s.Call(tool, args)
			require.True(t, a.IsError, "%s of %s: %s", tool, name, a.Text)
			require.Contains(t, a.Text, c.says, "%s of %s", tool, name)
			require.Contains(t, a.Text, "sh.helm.release.v1."+name+".v2", tool)
		}
	}
	require.Empty(t, p.Asked)
	left, err := testClients(t).typed.CoreV1().Secrets(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "owner=helm"})
	require.NoError(t, err)
	require.Len(t, left.Items, 2*len(spoilt(t)))
}

func TestOlderUnreadableRevisionsArePassedOverAndNamed(t *testing.T) {
	t.Parallel()
	ns, p := namespace(t), &person{Says: "accept"}
	s := writing(t, admin(t), p)
	args := map[string]any{"name": "lab", "namespace": ns, "chart": "lab-1.0.0.tgz", "values": map[string]any{"note": "one"}}
	require.False(t, s.Call("helm_install", args).IsError)
	args["values"] = map[string]any{"note": "two"}
	require.False(t, s.Call("helm_upgrade", args).IsError)
	secrets := testClients(t).typed.CoreV1().Secrets(ns)
	_, err := secrets.Patch(t.Context(), "sh.helm.release.v1.lab.v1", types.MergePatchType, []byte(`{"data":{"release":"e30="}}`), metav1.PatchOptions{})
	require.NoError(t, err)

	args["values"] = map[string]any{"note": "three"}
	a := s.Call("helm_upgrade", args)
	require.False(t, a.IsError, a.Text)
	require.Contains(t, a.Text, "is deployed as revision 3")
	require.Contains(t, p.Asked[2], "Note: older revisions that cannot be read are passed over, and their Secrets stay whatever is done: 1 (helm_get_history says why)")
	a = s.Call("helm_rollback", map[string]any{"name": "lab", "namespace": ns, "revision": 1})
	require.Contains(t, a.Text, "has no revision 1; earlier ones are 2 (superseded)")
	a = s.Call("helm_uninstall", map[string]any{"name": "lab", "namespace": ns})
	require.False(t, a.IsError, a.Text)
	_, err = secrets.Get(t.Context(), "sh.helm.release.v1.lab.v1", metav1.GetOptions{})
	require.NoError(t, err, "as the plan said")
}

func TestRevisionsThatAreTooMuchTogetherAreRefused(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	large := bytes.Join([][]byte{minimal("web", ""), bytes.Repeat([]byte{' '}, releaseBytes-1000)}, nil)
	packed := inGzip(t, large)
	for revision := range 3 {
		plant(t, ns, "web", revision+1, "superseded", time.Now().Add(-time.Hour), packed)
	}
	a := writing(t, admin(t), &person{Says: "accept"}).Call("helm_rollback", map[string]any{"name": "web", "namespace": ns})
	require.True(t, a.IsError)
	require.Contains(t, a.Text, "too_large: the revisions of the release together unpack to more than the 64 MiB")
}

// What a person is asked, and what comes back, holds no secret of the values,
// wherever a chart writes it.
func TestWritesShowNoSecretOfTheValues(t *testing.T) {
	t.Parallel()
	const secret = "S3cr3tOfTheValues"
	ns, p := namespace(t), &person{Says: "accept"}
	s := writing(t, admin(t), p)
	args := map[string]any{"name": "lab", "namespace": ns, "chart": "lab-1.0.0.tgz", "values": map[string]any{"adminPassword": secret, "note": "plain"}}
	a := s.Call("helm_install", args)
	require.False(t, a.IsError, a.Text)
	args["values"] = map[string]any{"note": secret, "maps": 2}
	a = s.Call("helm_upgrade", args)
	require.False(t, a.IsError, a.Text)
	require.Len(t, p.Asked, 2)
	require.Contains(t, p.Asked[1], "data.note: plain -> redacted:")
	read := reading(t)
	for _, text := range []string{p.Asked[0], p.Asked[1], a.Text,
		read.Call("helm_diff_release", map[string]any{"name": "lab", "namespace": ns}).Text,
		read.Call("helm_template", map[string]any{"chart": "shop/web", "values": map[string]any{"adminPassword": secret, "image": map[string]any{"tag": secret}}}).Text,
	} {
		require.NotContains(t, text, secret)
	}
	maps := testClients(t).typed.CoreV1().ConfigMaps(ns)
	_, err := maps.Update(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "lab-0"}, Data: map[string]string{"note": "by hand"}}, metav1.UpdateOptions{})
	require.NoError(t, err)
	a = read.Call("helm_check_drift", map[string]any{"name": "lab", "namespace": ns})
	require.Contains(t, a.Text, "by hand")
	require.NotContains(t, a.Text, secret)
}
