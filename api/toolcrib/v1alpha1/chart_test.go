package v1alpha1_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTheChart takes the chart through its life. It changes what others use, so
// it runs before whatever runs side by side.
func TestTheChart(t *testing.T) {
	run := func(args ...string) string {
		out, err := helm(t.Context(), args...)
		require.NoError(t, err)
		return out
	}
	run("lint", "--strict", chart)
	manifest := run("get", "manifest", release)
	files, err := filepath.Glob(manifests + "/*.yaml")
	require.NoError(t, err)
	require.Len(t, files, 8)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, object := range strings.Split(string(text), "---\n") {
			require.True(t, strings.Contains(manifest, strings.TrimSpace(object)), "the chart installs what is in %s", file)
		}
	}
	for set, want := range map[string]string{
		"crds.install=perhaps": "at '/crds/install': got string, want boolean",
		"crd.install=false":    "additional properties 'crd' not allowed",
	} {
		_, err := helm(t.Context(), "upgrade", release, chart, "--set", set)
		require.ErrorContains(t, err, want)
	}

	asks(t, approval("outlives"))
	forge := func() error { return mallory.patches(t, "outlives", `{decision: Approved, decidedBy: mallory}`) }
	run("upgrade", release, chart, "--set", "crds.install=false")
	require.ErrorContains(t, forge(), "mallory may not decide", "a release without the CRDs leaves them where they are")
	run("uninstall", release)
	require.ErrorContains(t, forge(), "mallory may not decide", "what is left behind is held as before")
	require.Eventually(t, func() bool {
		_, err := ada.try(t.Context(), nil, "get", "approvals")
		return err != nil && strings.Contains(err.Error(), `User "ada" cannot list resource "approvals"`)
	}, enough, 100*time.Millisecond, "the roles go with the release")
	run("install", release, chart)
	require.Eventually(t, func() bool { // the API server hears of them a moment later
		return ada.patches(t, "outlives", `{decision: Denied, decidedBy: ada}`) == nil
	}, enough, 100*time.Millisecond)
}
