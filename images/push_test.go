package images

import (
	"archive/tar"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed/charts"
)

const user, password = "publisher", "NotForYourEyes"

func TestAnArchiveIsPushedWithItsBillsOfMaterials(t *testing.T) {
	registry, err := charts.Start(limit(t), charts.Options{User: user, Password: password, Charts: []charts.Chart{}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, registry.Stop()) })
	host := registry.Home + "/" + string(charts.Plain) + "/toolcrib"

	i := built(t, release, binary("amd64", small), binary("arm64", small))
	archive := filepath.Join(t.TempDir(), "small-mcp.tar")
	require.NoError(t, i.Write(archive))
	opened, done, err := Open(archive)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, done()) })
	require.Equal(t, "small-mcp", opened.Name)
	require.Equal(t, "v1.2.3", opened.Version)

	t.Setenv("DOCKER_CONFIG", t.TempDir())
	_, err = opened.Push(limit(t), host)
	require.ErrorContains(t, err, "401")
	login(t, registry.Home)
	pushed, err := opened.Push(limit(t), host)
	require.NoError(t, err)
	require.Equal(t, host+"/small-mcp@"+digest(t, i.Index), pushed)

	options := []remote.Option{remote.WithContext(limit(t)), remote.WithAuth(&authn.Basic{Username: user, Password: password})}
	tag, err := name.NewTag(host + "/small-mcp:v1.2.3")
	require.NoError(t, err)
	pulled, err := remote.Index(tag, options...)
	require.NoError(t, err)
	require.NoError(t, validate.Index(pulled))
	require.Equal(t, digest(t, i.Index), digest(t, pulled))
	for platform, image := range platforms(t, pulled) {
		d, err := image.Digest()
		require.NoError(t, err)
		referrers, err := remote.Referrers(tag.Context().Digest(d.String()), options...)
		require.NoError(t, err)
		m, err := referrers.IndexManifest()
		require.NoError(t, err)
		require.Len(t, m.Manifests, 1, platform)
		require.Equal(t, "application/vnd.cyclonedx+json", m.Manifests[0].ArtifactType)
		artifact, err := remote.Image(tag.Context().Digest(m.Manifests[0].Digest.String()), options...)
		require.NoError(t, err)
		layers, err := artifact.Layers()
		require.NoError(t, err)
		require.Len(t, layers, 1)
		content, err := layers[0].Uncompressed()
		require.NoError(t, err)
		bom, err := io.ReadAll(content)
		require.NoError(t, err)
		require.Equal(t, string(entries(t, image)["var/lib/db/sbom/small-mcp.cdx.json"].data), string(bom))
	}
}

// login leaves credentials where docker login does.
func login(t *testing.T, host string) {
	t.Helper()
	auth := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	config := fmt.Sprintf(`{"auths":{%q:{"auth":%q}}}`, host, auth)
	require.NoError(t, os.WriteFile(filepath.Join(os.Getenv("DOCKER_CONFIG"), "config.json"), []byte(config), 0o600))
}

func TestAnArchiveThatIsNoneIsExplained(t *testing.T) {
	file := filepath.Join(t.TempDir(), "archive.tar")
	require.NoError(t, os.WriteFile(file, []byte("not a tar"), 0o600))
	_, _, err := Open(file)
	require.ErrorContains(t, err, "read the image archive "+file)
}

func TestAnArchiveStaysInItsFolder(t *testing.T) {
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "../outside", Typeflag: tar.TypeReg, Mode: 0o644}))
	require.NoError(t, w.Close())
	dir := filepath.Join(t.TempDir(), "inside")
	require.NoError(t, os.Mkdir(dir, 0o755))
	require.ErrorContains(t, unpack(&archive, dir), "escapes")
	require.NoFileExists(t, filepath.Join(dir, "..", "outside"))
}
