package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWrite(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(program, []byte("#!"), 0o755))
	i := Image{
		Name: "toolcrib.test/web:1", Files: map[string]string{"/usr/bin/web": program}, Data: map[string][]byte{"etc/web.conf": []byte("a=b\n")},
		Links: map[string]string{"bin/web": "/usr/bin/web"}, Entrypoint: []string{"/bin/web"}, User: "65534",
	}
	var first, second bytes.Buffer
	require.NoError(t, Write(&first, i))
	require.NoError(t, Write(&second, i))
	require.Equal(t, first.Bytes(), second.Bytes())

	blobs := read(t, &first)
	var index, manifest, config map[string]any
	require.NoError(t, json.Unmarshal(blobs["index.json"], &index))
	entry := index["manifests"].([]any)[0].(map[string]any)
	require.Equal(t, "toolcrib.test/web:1", entry["annotations"].(map[string]any)["io.containerd.image.name"])
	blob := func(descriptor any) []byte {
		digest := descriptor.(map[string]any)["digest"].(string)
		return blobs["blobs/sha256/"+digest[len("sha256:"):]]
	}
	require.NoError(t, json.Unmarshal(blob(entry), &manifest))
	require.NoError(t, json.Unmarshal(blob(manifest["config"]), &config))
	require.Equal(t, "65534", config["config"].(map[string]any)["User"])
	layer := read(t, bytes.NewReader(blob(manifest["layers"].([]any)[0])))
	require.Equal(t, "#!", string(layer["usr/bin/web"]))
	require.Equal(t, "a=b\n", string(layer["etc/web.conf"]))
	require.Contains(t, layer, "usr/bin/")
	require.Contains(t, layer, "bin/web")
}

func TestWriteNamesTheImage(t *testing.T) {
	err := Write(io.Discard, Image{Name: "toolcrib.test/web:1", Files: map[string]string{"web": "/no/such/file"}})
	require.ErrorContains(t, err, "make image toolcrib.test/web:1: stat /no/such/file")
}

func read(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for archive := tar.NewReader(r); ; {
		h, err := archive.Next()
		if err == io.EOF {
			return files
		}
		require.NoError(t, err)
		files[h.Name], err = io.ReadAll(archive)
		require.NoError(t, err)
	}
}
