// Package charts holds charts of applications that work, wait or fail, packs
// them, and serves them from a chart repository and an OCI registry of their
// own, which record every request (see [Start]). The charts' folders are in
// source; "web@1.1.0" holds the files in which that version differs from the
// one before it.
package charts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
)

//go:embed all:source
var source embed.FS

// Chart is one version of a chart.
type Chart struct{ Name, Version string }

// All are the charts, with the versions of each from old to new. Their
// values.yaml says which value makes them do what.
var All = []Chart{
	{"web", "1.0.0"}, {"web", "1.1.0"}, {"web", "1.2.0"}, {"web", "1.3.0-rc.1"},
	{"cache", "1.2.0"}, {"cache", "1.3.0+build.5"},
	{"with-hooks", "1.0.0"}, {"with-hooks", "1.1.0"},
	{"slow", "1.0.0"}, {"slow", "1.1.0"},
	{"umbrella", "1.0.0"},
	{"crds", "1.0.0"},
	{"broken", "1.0.0"},
	{"library", "1.0.0"},
	{"deprecated", "0.9.0"},
	{"big", "1.0.0"},
}

// Secrets are the passwords and tokens in the charts' default values: what must
// never be shown. All of them contain "NotForYourEyes".
var Secrets = []string{
	"web-admin-NotForYourEyes", "web-db-NotForYourEyes", "web-token-NotForYourEyes", "cache-NotForYourEyes",
}

// What with-hooks and slow print in their pods.
const (
	HookFailure = "migration 0042 failed: column orders.total does not exist" // of a hook set to fail
	HookHang    = "waiting for the lock on table orders"                      // of a hook set to hang
	SlowStart   = "warming the cache"
)

// Archive returns the chart packed as Helm packs it. Equal charts give equal
// bytes.
func (c Chart) Archive() ([]byte, error) {
	files, err := c.files()
	if err != nil {
		return nil, fmt.Errorf("pack chart %s %s: %w", c.Name, c.Version, err)
	}
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	t := tar.NewWriter(z)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: c.Name + "/" + name, Mode: 0o644, Size: int64(len(files[name]))}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(t.Close(), z.Close()); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// FileName is that of the archive.
func (c Chart) FileName() string { return c.Name + "-" + c.Version + ".tgz" }

var versionLine = regexp.MustCompile(`(?m)^version: .*$`)

// files are those of the chart's folder, under those of each version up to
// this one that has a folder. A version that is none of [All] is taken for the
// newest.
func (c Chart) files() (map[string][]byte, error) {
	files := map[string][]byte{}
	if err := readInto(files, path.Join("source", c.Name), ""); err != nil {
		return nil, err
	}
	for _, v := range All {
		if v.Name != c.Name {
			continue
		}
		changes := fmt.Sprintf("source/%s@%s", v.Name, v.Version)
		if _, err := fs.Stat(source, changes); err == nil {
			if err := readInto(files, changes, ""); err != nil {
				return nil, err
			}
		}
		if v.Version == c.Version {
			break
		}
	}
	files["Chart.yaml"] = versionLine.ReplaceAll(files["Chart.yaml"], []byte("version: "+c.Version))
	switch c.Name {
	case "umbrella":
		return files, readInto(files, "source/cache", "charts/cache/")
	case "big":
		addNoise(files)
	}
	return files, nil
}

func readInto(files map[string][]byte, dir, prefix string) error {
	return fs.WalkDir(source, dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := source.ReadFile(name)
		files[prefix+name[len(dir)+1:]] = data
		return err
	})
}

// addNoise adds what hardly compresses, the same every time. A release holds it
// twice, in the chart and in the manifest, which makes it larger than the 1 MiB
// of a Secret, but not than the 3 MiB of a request.
func addNoise(files map[string][]byte) {
	random := rand.NewChaCha8([32]byte{})
	for i := range 2 {
		noise := make([]byte, 288<<10)
		_, _ = random.Read(noise) // it never fails
		files[fmt.Sprintf("noise/%d", i)] = []byte(base64.StdEncoding.EncodeToString(noise))
	}
}
