package helm

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/charts"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestInstallIsGatedAndDoesWhatWasPlanned(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	b := granted(t, "", writeRules...)
	args := map[string]any{"name": "web", "namespace": ns, "chart": "shop/web", "version": "1.0.0", "values": map[string]any{"page": "Hello"}}
	no := &person{Says: "decline"}
	require.Empty(t, written(t, b, func() {
		a := session(t, stocked(b), "write", nil).Call("helm_install", args)
		require.Contains(t, a.Text, "denied: a person must approve")
		a = writing(t, b, no).Call("helm_install", args)
		require.Contains(t, a.Text, "denied: the person declined")
	}), "a plan writes nothing")
	require.Empty(t, objects(t, ns))
	require.Empty(t, revisions(t, ns, "web"))
	require.Len(t, no.Asked, 1)
	for _, part := range []string{"+ revision 1: web 1.0.0 from repository shop", "+ Deployment/web", "+ data: {index.html: \"<h1>Hello</h1>\\n\"}", "stringData: {admin-password: redacted:"} {
		require.Contains(t, no.Asked[0], part)
	}
	var answer string
	require.Equal(t, []string{"create secrets sh.helm.release.v1.web.v1", "create secrets web", "create configmaps web", "create services web",
		"create deployments web", "update secrets sh.helm.release.v1.web.v1"}, written(t, b, func() {
		a := writing(t, b, &person{Says: "accept"}).Call("helm_install", args)
		require.False(t, a.IsError, a.Text)
		answer = a.Text
	}))
	require.Contains(t, answer, `release "web" in namespace "`+ns+`" is deployed as revision 1`)
	require.Contains(t, answer, "created\tDeployment/web")
	require.Contains(t, answer, "Sign in as admin with password: redacted:")
	for _, secret := range charts.Secrets {
		require.NotContains(t, no.Asked[0]+answer, secret)
	}
	require.Contains(t, helm3(t).run(t, "status", "web", "-n", ns), "STATUS: deployed")
	require.Equal(t, "1", kubectl(t, "get", "deployment", "web", "-n", ns, "-o", "jsonpath={.status.readyReplicas}"))
	require.Contains(t, refused(t, b, "helm_install", args), "conflict: release \"web\" in namespace \""+ns+"\" exists: revision 1 of chart web 1.0.0 is deployed. Use helm_upgrade")
}

func TestInstallRefusesBeforeAnythingIsThere(t *testing.T) {
	t.Parallel()
	ns, b := namespace(t), admin(t)
	for name, c := range map[string]struct {
		args map[string]any
		says string
	}{
		"schema":     {map[string]any{"chart": "shop/web", "values": "{replicas: none, service: {type: x}}"}, "service.type"},
		"both":       {map[string]any{"chart": "shop/web", "values": "{replicas: none, service: {type: x}}"}, "replicas"},
		"path":       {map[string]any{"chart": "shop/web", "values": "values.yaml"}, "never the path of a file"},
		"big":        {map[string]any{"chart": "shop/big"}, "too_large: the release does not fit into a Secret"},
		"library":    {map[string]any{"chart": "shop/library"}, "cannot be installed"},
		"template":   {map[string]any{"chart": "shop/broken"}, "invalid: template broken/templates/configmap.yaml line 2"},
		"kind":       {map[string]any{"chart": "shop/broken", "values": "cause: kind"}, `no matches for kind "Teapot" in version "toolcrib.test/v9"`},
		"api":        {map[string]any{"chart": "shop/broken", "values": "cause: api"}, "The API server would refuse these objects"},
		"subchart":   {map[string]any{"chart": "headless-1.0.0.tgz"}, "lacks subcharts"},
		"kubernetes": {map[string]any{"chart": "future-1.0.0.tgz"}, "kubeVersion: >=9.0.0"},
		"chart":      {map[string]any{"chart": "shop/wep"}, "not_found: "},
		"Name":       {map[string]any{"chart": "shop/web"}, "cannot be a release's"},
	} {
		c.args["name"], c.args["namespace"] = name, ns
		require.Contains(t, refused(t, b, "helm_install", c.args), c.says, name)
		require.Empty(t, revisions(t, ns, "x"), name)
	}
	require.Empty(t, objects(t, ns))
	require.Contains(t, refused(t, b, "helm_install", map[string]any{"name": "x", "namespace": ns + "-absent", "chart": "shop/umbrella"}),
		`not_found: there is no namespace "`+ns+`-absent"; create_namespace=true creates it`)
}

func TestInstallCreatesItsNamespaceAndSubcharts(t *testing.T) {
	t.Parallel()
	ns := namespace(t) + "-new"
	asked, _ := done(t, "helm_install", map[string]any{"name": "shop", "namespace": ns, "chart": "shop/umbrella", "create_namespace": true})
	t.Cleanup(func() {
		_ = testClients(t).typed.CoreV1().Namespaces().Delete(context.Background(), ns, metav1.DeleteOptions{})
	})
	require.Contains(t, asked, "+ Namespace/"+ns)
	require.Equal(t, []string{"configmap/shop-cache", "configmap/shop-frontend", "secret/shop-cache"}, objects(t, ns))
}

func TestInstallNamesEveryObjectInTheWay(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	kubectl(t, "create", "configmap", "two-0", "-n", ns)
	done(t, "helm_install", map[string]any{"name": "two", "namespace": namespace(t), "chart": "lab-1.0.0.tgz"})
	kubectl(t, "create", "configmap", "two-1", "-n", ns)
	kubectl(t, "annotate", "configmap", "two-1", "-n", ns, "meta.helm.sh/release-name=other", "meta.helm.sh/release-namespace="+ns)
	text := refused(t, admin(t), "helm_install", map[string]any{"name": "two", "namespace": ns, "chart": "lab-1.0.0.tgz", "values": "maps: 3"})
	require.Contains(t, text, "conflict: ")
	require.Contains(t, text, "- ConfigMap/two-0 belongs to no release\n- ConfigMap/two-1 belongs to release \"other\" in namespace \""+ns+"\"")
	require.Equal(t, []string{"configmap/two-0", "configmap/two-1"}, objects(t, ns))
}

func TestInstallWithoutTheRightToOneKind(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	b := granted(t, "", noServices()...)
	args := map[string]any{"name": "web", "namespace": ns, "chart": "shop/web", "version": "1.0.0"}
	text := refused(t, b, "helm_install", args)
	require.Contains(t, text, "denied: cannot install")
	require.Contains(t, text, `- Service/web: services is forbidden`)
	require.Empty(t, objects(t, ns))

	// The right is lost between plan and deed.
	plan, err := stocked(admin(t)).planInstall(t.Context(), InstallIn{Release: Release{"web", ns}, ChartRef: ChartRef{Chart: "shop/web", Version: "1.0.0"}})
	require.NoError(t, err)
	_, err = b.carryOut(t.Context(), plan)
	requireKind(t, err, "denied", "create Service/web", "Done before that: created Secret/web, created ConfigMap/web", "Revision 1 is recorded as failed")
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, "web"))
}

func TestInstallOfCRDs(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	const crd = "backups.storage.toolcrib.test"
	t.Cleanup(func() { kubectl(t, "delete", "crd", crd, "--ignore-not-found", "--wait=false") })
	asked, answer := done(t, "helm_install", map[string]any{"name": "nightly", "namespace": ns, "chart": "shop/crds"})
	require.Contains(t, asked, "+ CustomResourceDefinition/"+crd)
	require.Contains(t, asked, "never upgrades or deletes them")
	require.Contains(t, answer, "created\tBackup/nightly")
	asked, _ = done(t, "helm_upgrade", map[string]any{"name": "nightly", "namespace": ns, "chart": "shop/crds", "values": "keep: 3"})
	require.Contains(t, asked, "~ spec.keep: 7 -> 3")
	require.Contains(t, asked, "CRDs that are there stay as they are")
	asked, _ = done(t, "helm_uninstall", map[string]any{"name": "nightly", "namespace": ns})
	require.Contains(t, asked, "- Backup/nightly")
	require.Contains(t, asked, "the CRDs of crds/backups.yaml stay")
	require.Contains(t, kubectl(t, "get", "crd", crd, "-o", "name"), crd)

	done(t, "helm_install", map[string]any{"name": "nightly", "namespace": ns, "chart": "shop/crds"})
	kubectl(t, "delete", "crd", crd)
	within(t, "the missing type is named", func() bool {
		_, err := admin(t).planUninstall(t.Context(), UninstallIn{Release: Release{"nightly", ns}})
		return err != nil && strings.Contains(err.Error(), `does not serve any more (no matches for kind "Backup" in version "storage.toolcrib.test/v1")`)
	})
}

func TestInstallTellsWhyAHookFailed(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	text := refused(t, granted(t, "", writeRules...), "helm_install", map[string]any{"name": "orders", "namespace": ns, "chart": "shop/with-hooks", "values": "hooks: {postInstall: fail}"})
	require.Contains(t, text, "hook job orders-post-install failed: BackoffLimitExceeded")
	require.Contains(t, text, "container migrate, ends:\n  "+charts.HookFailure)
	require.Contains(t, text, "created ConfigMap/orders")
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, "orders"))

	stuck, text := hurried(t, 5*time.Second, charts.HookHang, func(release string, limit time.Duration) string {
		return refused(t, admin(t), "helm_install", map[string]any{"name": release, "namespace": ns, "chart": "shop/with-hooks", "values": "hooks: {preInstall: hang}", "timeout": limit.String()})
	})
	require.Contains(t, text, "not done within "+strings.TrimPrefix(stuck, "in-")+" while waiting for hook job "+stuck+"-pre-install")
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, stuck))
}

func TestInstallTellsWhyAnObjectIsNotReady(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	b := granted(t, "", writeRules...)
	lab, text := hurried(t, 5*time.Second, "container main: waiting: (ErrImagePull|ImagePullBackOff)", func(release string, limit time.Duration) string {
		return refused(t, b, "helm_install", map[string]any{"name": release, "namespace": ns, "chart": "lab-1.0.0.tgz",
			"values": "{image: registry.invalid/none:1, selector: " + release + "}", "timeout": limit.String()})
	})
	require.Contains(t, text, "unavailable: ")
	require.Contains(t, text, "while waiting for deployment "+lab+", 0 of 1 pods ready")
	require.Regexp(t, `pod `+lab+`-[a-z0-9-]+, container main: waiting: `, text)
	require.Equal(t, []string{"1 failed"}, revisions(t, ns, lab))
	require.Contains(t, helm3(t).run(t, "history", lab, "-n", ns), "Install failed: not done within "+strings.TrimPrefix(lab, "in-"))
}

func TestInstallTakenBackOnFailure(t *testing.T) {
	t.Parallel()
	var ns string
	slow, text := hurried(t, 6*time.Second, "it was uninstalled again", func(release string, limit time.Duration) string {
		ns = namespace(t)
		return refused(t, admin(t), "helm_install", map[string]any{"name": release, "namespace": ns, "chart": "shop/slow", "timeout": limit.String(), "rollback_on_failure": true})
	})
	limit, err := time.ParseDuration(strings.TrimPrefix(slow, "in-"))
	require.NoError(t, err)
	require.Contains(t, text, "not done within "+(limit-limit/undoShare).String())
	require.Empty(t, revisions(t, ns, slow))
	require.Empty(t, objects(t, ns))
}
