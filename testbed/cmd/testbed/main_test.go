package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// invoke runs one command line.
func invoke(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestUpAndDown(t *testing.T) {
	name := fmt.Sprintf("test-%d", os.Getpid())
	code, stdout, stderr := invoke(t, "up", "--tier=control-plane", "--name="+name)
	require.Zero(t, code, stderr)
	defer invoke(t, "down", "--name="+name)
	kubeconfig, ok := strings.CutPrefix(strings.TrimSpace(stdout), "export KUBECONFIG=")
	require.True(t, ok, stdout)
	require.FileExists(t, kubeconfig)

	_, again, _ := invoke(t, "up", "--tier=control-plane", "--name="+name)
	require.Equal(t, stdout, again)
	code, _, stderr = invoke(t, "up", "--tier=node", "--name="+name)
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "is up already, of tier control-plane")

	_, stdout, _ = invoke(t, "status")
	require.Contains(t, stdout, name)
	_, stdout, stderr = invoke(t, "kubectl", "--name="+name, "get", "namespace", "default", "-o", "name")
	require.Equal(t, "namespace/default\n", stdout, stderr)
	code, _, _ = invoke(t, "kubectl", "--name="+name, "get", "namespace", "none")
	require.Equal(t, 1, code)

	code, _, stderr = invoke(t, "down", "--name="+name)
	require.Zero(t, code, stderr)
	require.NoFileExists(t, kubeconfig)
	_, stdout, _ = invoke(t, "status")
	require.NotContains(t, stdout, name)
}

func TestUsage(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 0, "testbed up        start a cluster"},
		{[]string{"up", "--help"}, 0, `eval "$(testbed up)"`},
		{[]string{"fly"}, 2, `no command "fly"`},
		{[]string{"up", "--tier=moon"}, 2, "want one of [control-plane node scale]"},
		{[]string{"down", "everything"}, 1, `down takes no argument "everything"`},
		{[]string{"down", "--name=none"}, 1, "cluster none: no such cluster"},
		{[]string{"up", "--name=A/B"}, 1, "want lower-case letters"},
	} {
		code, stdout, stderr := invoke(t, c.args...)
		require.Equal(t, c.code, code, c.args)
		require.Contains(t, stdout+stderr, c.says)
	}
}
