package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/model"
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
		{[]string{"model"}, 1, "model needs --scenario"},
		{[]string{"model", "--scenario=moon"}, 1, `no scenario "moon"; there are crash-loop, `},
		{[]string{"model", "--scenario=./moon.yaml"}, 1, "read scenario: open ./moon.yaml"},
		{[]string{"down", "everything"}, 1, `down takes no argument "everything"`},
		{[]string{"down", "--name=none"}, 1, "cluster none: no such cluster"},
		{[]string{"up", "--name=A/B"}, 1, "want lower-case letters"},
	} {
		code, stdout, stderr := invoke(t, c.args...)
		require.Equal(t, c.code, code, c.args)
		require.Contains(t, stdout+stderr, c.says)
	}
}

// lines is a writer that hands out what is written, piece by piece.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func TestModel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	key := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(key, []byte("right\n"), 0o600))
	out, ended := make(lines, 1), make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"model", "--scenario=hello", "--key-file=" + key, "--models=a,b"}, out, io.Discard)
	}()
	url := strings.TrimSpace(<-out)
	ask := func(key string) (int, string) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v1/chat/completions", strings.NewReader(`{"model":"a","messages":[{"role":"user","content":"Is anybody there?"}]}`))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+key)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return res.StatusCode, string(body)
	}
	status, body := ask("right")
	require.Equal(t, 200, status, body)
	require.Contains(t, body, "Hello. You said: Is anybody there?")
	status, _ = ask("wrong")
	require.Equal(t, 401, status)
	require.NoError(t, os.WriteFile(key, []byte("wrong\n"), 0o600))
	status, _ = ask("wrong")
	require.Equal(t, 200, status, "the key is read for each request")

	res, err := http.Get(url + "/_model/requests")
	require.NoError(t, err)
	defer res.Body.Close()
	var requests []model.Request
	require.NoError(t, json.NewDecoder(res.Body).Decode(&requests))
	require.Len(t, requests, 3)
	require.Equal(t, "hello", requests[2].Outcome)
	cancel()
	require.Zero(t, <-ended)
}
