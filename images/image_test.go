package images

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"debug/elf"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"
)

// entry is a file or folder of an image.
type entry struct {
	mode     int64
	uid, gid int
	data     []byte
}

// platforms are the images of an index by platform.
func platforms(t *testing.T, index v1.ImageIndex) map[string]v1.Image {
	t.Helper()
	m, err := index.IndexManifest()
	require.NoError(t, err)
	out := map[string]v1.Image{}
	for _, d := range m.Manifests {
		out[d.Platform.String()], err = index.Image(d.Digest)
		require.NoError(t, err)
	}
	return out
}

func entries(t *testing.T, image v1.Image) map[string]entry {
	t.Helper()
	files := mutate.Extract(image)
	defer files.Close()
	out := map[string]entry{}
	for r := tar.NewReader(files); ; {
		h, err := r.Next()
		if err == io.EOF {
			return out
		}
		require.NoError(t, err)
		data, err := io.ReadAll(r)
		require.NoError(t, err)
		out[h.Name] = entry{h.Mode, h.Uid, h.Gid, data}
	}
}

func digest(t *testing.T, i v1.ImageIndex) string {
	t.Helper()
	d, err := i.Digest()
	require.NoError(t, err)
	return d.String()
}

func TestAnImageHoldsTheBinaryAndWhatItNeeds(t *testing.T) {
	i := built(t, release, binary("amd64", prometheus))
	require.Equal(t, "prometheus-mcp", i.Name)
	image := platforms(t, i.Index)["linux/amd64"]
	got := entries(t, image)
	modes := map[string]int64{}
	for name, e := range got {
		modes[name] = e.mode
		require.Zero(t, e.uid+e.gid, name) // the server's user cannot change it
	}
	require.Equal(t, map[string]int64{
		"etc": 0o755, "etc/passwd": 0o644, "etc/ssl": 0o755, "etc/ssl/certs": 0o755, "etc/ssl/certs/ca-certificates.crt": 0o644,
		"prometheus-mcp": 0o755,
		"var":            0o755, "var/lib": 0o755, "var/lib/db": 0o755, "var/lib/db/sbom": 0o755, "var/lib/db/sbom/prometheus-mcp.cdx.json": 0o644,
	}, modes)
	want, err := os.ReadFile(binary("amd64", prometheus))
	require.NoError(t, err)
	require.True(t, bytes.Equal(want, got["prometheus-mcp"].data))
	require.Equal(t, "nonroot:x:65532:65532:nonroot:/:/sbin/nologin\n", string(got["etc/passwd"].data))
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(got["etc/ssl/certs/ca-certificates.crt"].data))

	c, err := image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, "65532:65532", c.Config.User)
	require.Equal(t, []string{"/prometheus-mcp"}, c.Config.Entrypoint)
	require.Empty(t, c.Config.Env)
}

func TestAnImageSaysWhatItIs(t *testing.T) {
	labels := map[string]string{
		"org.opencontainers.image.title":       "prometheus-mcp",
		"org.opencontainers.image.description": "Toolcrib's MCP tool server for prometheus",
		"org.opencontainers.image.version":     "v1.2.3",
		"org.opencontainers.image.revision":    "0123456789abcdef0123456789abcdef01234567",
		"org.opencontainers.image.source":      "https://github.com/toolcrib/toolcrib",
		"org.opencontainers.image.licenses":    "Apache-2.0",
		"org.opencontainers.image.created":     "2026-11-21T14:04:05Z",
	}
	i := built(t, release, binary("amd64", prometheus))
	image := platforms(t, i.Index)["linux/amd64"]
	c, err := image.ConfigFile()
	require.NoError(t, err)
	require.Equal(t, labels, c.Config.Labels)
	require.True(t, c.Created.Equal(release.Created))
	m, err := image.Manifest()
	require.NoError(t, err)
	require.Equal(t, labels, m.Annotations)
	of, err := i.Index.IndexManifest()
	require.NoError(t, err)
	require.Equal(t, labels, of.Annotations)
}

func TestTheBillOfMaterialsListsEveryModule(t *testing.T) {
	i := built(t, release, binary("amd64", prometheus))
	raw := entries(t, platforms(t, i.Index)["linux/amd64"])["var/lib/db/sbom/prometheus-mcp.cdx.json"].data
	var bom cyclonedx.BOM
	require.NoError(t, cyclonedx.NewBOMDecoder(bytes.NewReader(raw), cyclonedx.BOMFileFormatJSON).Decode(&bom))
	require.Equal(t, "prometheus-mcp", bom.Metadata.Component.Name)
	require.Equal(t, "v1.2.3", bom.Metadata.Component.Version)
	versions := map[string]string{}
	for _, c := range *bom.Components {
		versions[c.Name] = c.Version
		require.True(t, strings.HasPrefix(c.PackageURL, "pkg:golang/"+c.Name+"@"), c.PackageURL)
	}
	p, err := readProgram(binary("amd64", prometheus))
	require.NoError(t, err)
	require.Len(t, versions, len(p.build.Deps)+1) // and the standard library
	require.Equal(t, required(t, "../servers/prometheus/go.mod", "github.com/modelcontextprotocol/go-sdk"), versions["github.com/modelcontextprotocol/go-sdk"])
	require.Equal(t, "v1.2.3", versions["github.com/toolcrib/toolcrib/mcpkit"])
	require.Equal(t, p.build.GoVersion, versions["std"])
}

// required is the version a go.mod asks for.
func required(t *testing.T, file, module string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(data), module+" ")
	require.True(t, found)
	version, _, _ := strings.Cut(rest, "\n")
	return version
}

func TestAReplacedModuleIsListedAsWhatReplacesIt(t *testing.T) {
	c := module(&debug.Module{Path: "example.com/a", Version: "v1.0.0", Replace: &debug.Module{Path: "example.com/b", Version: "v2.0.0+incompatible"}}, "v9")
	require.Equal(t, "pkg:golang/example.com/b@v2.0.0%2Bincompatible", c.PackageURL)
}

func TestOneImageForBothPlatforms(t *testing.T) {
	i := built(t, release, binary("arm64", small), binary("amd64", small))
	got := platforms(t, i.Index)
	require.Len(t, got, 2)
	for platform, machine := range map[string]elf.Machine{"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64} {
		f, err := elf.NewFile(bytes.NewReader(entries(t, got[platform])["small-mcp"].data))
		require.NoError(t, err)
		require.Equal(t, machine, f.Machine)
		c, err := got[platform].ConfigFile()
		require.NoError(t, err)
		require.Equal(t, platform, c.OS+"/"+c.Architecture)
	}
}

func TestTheSameInputsMakeTheSameImage(t *testing.T) {
	one := built(t, release, binary("amd64", small), binary("arm64", small))
	two := built(t, release, binary("arm64", small), binary("amd64", small))
	require.Equal(t, digest(t, one.Index), digest(t, two.Index))
	dir := t.TempDir()
	var archives [2][]byte
	for n, i := range []Image{one, two} {
		file := filepath.Join(dir, "archive.tar")
		require.NoError(t, i.Write(file))
		var err error
		archives[n], err = os.ReadFile(file)
		require.NoError(t, err)
	}
	require.True(t, bytes.Equal(archives[0], archives[1]))

	later := release
	later.Version = "v1.2.4"
	require.NotEqual(t, digest(t, one.Index), digest(t, built(t, later, binary("amd64", small), binary("arm64", small)).Index))
}

func TestWhatCannotBeAnImageIsExplained(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	require.NoError(t, os.WriteFile(script, []byte("#!/bin/sh\n"), 0o755))
	unversioned := release
	unversioned.Version = "v1 of many"
	for _, c := range []struct {
		release  Release
		binaries []string
		says     string
	}{
		{release, []string{script}, "is no Go binary"},
		{release, []string{"/no/such/file"}, "open /no/such/file"},
		{release, []string{binary("amd64", small), binary("amd64", small)}, "is the second binary for linux/amd64"},
		{release, []string{binary("amd64", small), binary("amd64", prometheus)}, "give one program's binaries at a time"},
		{unversioned, []string{binary("amd64", small)}, `version "v1 of many" cannot be an image's tag`},
	} {
		_, err := Build(c.release, c.binaries...)
		require.ErrorContains(t, err, c.says)
	}
}
