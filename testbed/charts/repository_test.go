package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// started is a repository of its own.
func started(t *testing.T, o Options) *Repository {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // the first time it is built
	defer cancel()
	r, err := Start(ctx, o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.Stop()) })
	return r
}

// get asks as the user, if one is given, and returns the status and the body.
func get(t *testing.T, r *Repository, url, user, password string) (int, []byte, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	resp, err := r.client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

type index struct {
	Entries map[string][]struct {
		Version, Digest string
		URLs            []string
		Deprecated      bool
	}
}

func indexOf(t *testing.T, r *Repository, v View) (i index) {
	t.Helper()
	status, body, err := get(t, r, r.URL(v)+"/index.yaml", "", "")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	require.NoError(t, json.Unmarshal(body, &i))
	return i
}

func TestIndexAndArchives(t *testing.T) {
	r := started(t, Options{})
	i := indexOf(t, r, Plain)
	var listed int
	for name, versions := range i.Entries {
		for _, v := range versions {
			listed++
			require.Equal(t, []string{Chart{name, v.Version}.FileName()}, v.URLs)
			status, archive, err := get(t, r, r.URL(Plain)+"/"+v.URLs[0], "", "")
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, v.Digest, fmt.Sprintf("%x", sha256.Sum256(archive)))
			packed, err := Chart{name, v.Version}.Archive()
			require.NoError(t, err)
			require.True(t, bytes.Equal(packed, archive), "packing is deterministic")
		}
	}
	require.Equal(t, len(All), listed)
	require.True(t, i.Entries["deprecated"][0].Deprecated)

	require.NoError(t, r.Publish(t.Context(), Chart{"web", "4.0.0"}))
	require.Len(t, indexOf(t, r, Plain).Entries["web"], 5)
}

func TestVersionsDiffer(t *testing.T) {
	require.NotContains(t, unpacked(t, Chart{"web", "1.0.0"}), "web/templates/disruption.yaml")
	newer := unpacked(t, Chart{"web", "1.2.0"})
	require.Contains(t, newer["web/Chart.yaml"], "version: 1.2.0\nappVersion: \"3.0.0\"")
	require.Contains(t, newer["web/values.yaml"], "replicas: 2")
	require.Contains(t, newer["web/templates/disruption.yaml"], "maxUnavailable")
	require.Contains(t, newer["web/templates/deployment.yaml"], "LOG_LEVEL")
	require.Contains(t, unpacked(t, Chart{"umbrella", "1.0.0"})["umbrella/charts/cache/Chart.yaml"], "version: 1.2.0\n")
}

func unpacked(t *testing.T, c Chart) map[string]string {
	t.Helper()
	data, err := c.Archive()
	require.NoError(t, err)
	z, err := gzip.NewReader(bytes.NewReader(data))
	require.NoError(t, err)
	files := map[string]string{}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return files
		}
		require.NoError(t, err)
		content, err := io.ReadAll(r)
		require.NoError(t, err)
		files[h.Name] = string(content)
	}
}

func TestPasswordAndRecord(t *testing.T) {
	r := started(t, Options{User: "ada", Password: "s3cret-pass", TLS: true, Charts: []Chart{{"web", "1.0.0"}}})
	for _, path := range []string{"/charts/index.yaml", "/v2/charts/web/manifests/1.0.0"} {
		status, _, err := get(t, r, "https://"+r.Home+path, "", "")
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, status)
		status, _, err = get(t, r, "https://"+r.Home+path, "ada", "wrong")
		require.NoError(t, err)
		require.Equal(t, http.StatusUnauthorized, status)
		status, _, err = get(t, r, "https://"+r.Home+path, "ada", "s3cret-pass")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
		status, _, err = get(t, r, "https://"+r.Elsewhere+path, "", "")
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, status)
	}
	seen, err := r.Requests()
	require.NoError(t, err)
	require.Len(t, seen, 8)
	require.Empty(t, seen[0].Authorization)
	require.NotEmpty(t, seen[1].Authorization)
	require.False(t, seen[1].Carries("ada", "s3cret-pass"))
	require.True(t, seen[2].Carries("ada", "s3cret-pass"))
	require.Equal(t, "home", seen[2].Server)
	require.Equal(t, r.Home, seen[2].Host)
	require.Equal(t, "elsewhere", seen[3].Server)
	require.Equal(t, "/v2/charts/web/manifests/1.0.0", seen[7].Path)

	// Go's client drops the header on its way to another host, and so the
	// redirect ends well where no password is asked for.
	status, _, err := get(t, r, r.URL(Redirect)+"/index.yaml", "ada", "s3cret-pass")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, status)
	seen, err = r.Requests()
	require.NoError(t, err)
	require.True(t, seen[8].Carries("ada", "s3cret-pass"))
	require.Equal(t, "elsewhere", seen[9].Server)
	require.Equal(t, "/charts/index.yaml", seen[9].Path)
	require.Empty(t, seen[9].Authorization)
}

func TestViews(t *testing.T) {
	r := started(t, Options{Charts: []Chart{{"cache", "1.3.0+build.5"}}})
	require.Equal(t, []string{"http://" + r.Elsewhere + "/charts/cache-1.3.0+build.5.tgz"}, indexOf(t, r, ArchivesElsewhere).Entries["cache"][0].URLs)
	for view, want := range map[View]int{Denied: 401, Missing: 404, Failing: 500, "status/503": 503} {
		for _, url := range []string{r.URL(view) + "/index.yaml", "http://" + r.Home + "/v2/" + string(view) + "/cache/tags/list"} {
			status, _, err := get(t, r, url, "", "")
			require.NoError(t, err)
			require.Equal(t, want, status, url)
		}
	}
	_, half, err := get(t, r, r.URL(Truncated)+"/index.yaml", "", "")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	require.NotEmpty(t, half)
	_, _, err = get(t, r, "http://"+r.Home+"/v2/truncated/cache/manifests/1.3.0_build.5", "", "")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	_, tags, err := get(t, r, "http://"+r.Home+"/v2/charts/cache/tags/list", "", "")
	require.NoError(t, err)
	require.JSONEq(t, `{"name": "charts/cache", "tags": ["1.3.0_build.5"]}`, string(tags))
}

func TestHuge(t *testing.T) {
	r := started(t, Options{Charts: []Chart{}})
	resp, err := r.client.Get(r.URL(Huge) + "/index.yaml")
	require.NoError(t, err)
	defer resp.Body.Close()
	n, err := io.Copy(io.Discard, io.LimitReader(resp.Body, 300<<20))
	require.NoError(t, err)
	require.Greater(t, n, int64(256<<20))
}

func TestHanging(t *testing.T) {
	r := started(t, Options{Charts: []Chart{}})
	ctx, cancel := context.WithCancel(t.Context())
	traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		WroteRequest:         func(httptrace.WroteRequestInfo) { cancel() },
		GotFirstResponseByte: func() { t.Error("it answered") },
	})
	req, err := http.NewRequestWithContext(traced, http.MethodGet, r.URL(Hanging)+"/index.yaml", nil)
	require.NoError(t, err)
	_, err = r.client.Do(req)
	require.ErrorIs(t, err, context.Canceled)
}
