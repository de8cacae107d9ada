// Package image makes container images from files, without a base image, a
// registry or a daemon.
package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Image is one image of a single layer. Besides what it names, it holds an
// /etc/passwd with root and nobody (65534) and the usual empty folders.
type Image struct {
	Name       string            // full reference, such as toolcrib.test/web:1
	Files      map[string]string // path in the image -> file on disk; executable if that is
	Data       map[string][]byte // path in the image -> content
	Links      map[string]string // path in the image -> what the symlink points to
	Entrypoint []string
	Cmd        []string
	Env        []string
	User       string
}

var epoch = time.Unix(0, 0)

// Write writes the images as one OCI archive, as ctr and docker load it. Equal
// images give equal bytes.
func Write(w io.Writer, images ...Image) error {
	blobs := map[string][]byte{}
	var manifests []any
	for _, i := range images {
		manifest, err := i.manifest(blobs)
		if err != nil {
			return fmt.Errorf("make image %s: %w", i.Name, err)
		}
		manifests = append(manifests, manifest)
	}
	index, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests,
	})
	if err != nil {
		return err
	}
	t := tarball{tar.NewWriter(w), map[string]bool{}}
	files := map[string][]byte{"oci-layout": []byte(`{"imageLayoutVersion":"1.0.0"}`), "index.json": index}
	for digest, blob := range blobs {
		files["blobs/sha256/"+strings.TrimPrefix(digest, "sha256:")] = blob
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := t.file(name, 0o644, files[name]); err != nil {
			return err
		}
	}
	return t.Close()
}

// manifest adds the image's blobs and returns its entry for the index.
func (i Image) manifest(blobs map[string][]byte) (any, error) {
	layer, err := i.layer()
	if err != nil {
		return nil, err
	}
	config := map[string]any{"Env": append([]string{"PATH=/bin:/usr/bin:/sbin:/usr/sbin"}, i.Env...), "Entrypoint": i.Entrypoint, "Cmd": i.Cmd, "User": i.User}
	platform := map[string]string{"architecture": runtime.GOARCH, "os": "linux"}
	cfg, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": "1970-01-01T00:00:00Z", "config": config,
		"rootfs": map[string]any{"type": "layers", "diff_ids": []string{digest(layer)}},
	})
	if err != nil {
		return nil, err
	}
	manifest, err := json.Marshal(map[string]any{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": descriptor("application/vnd.oci.image.config.v1+json", cfg),
		"layers": []any{descriptor("application/vnd.oci.image.layer.v1.tar", layer)},
	})
	if err != nil {
		return nil, err
	}
	for _, blob := range [][]byte{layer, cfg, manifest} {
		blobs[digest(blob)] = blob
	}
	entry := descriptor("application/vnd.oci.image.manifest.v1+json", manifest)
	entry["platform"] = platform
	entry["annotations"] = map[string]string{"io.containerd.image.name": i.Name, "org.opencontainers.image.ref.name": i.Name}
	return entry, nil
}

func descriptor(mediaType string, blob []byte) map[string]any {
	return map[string]any{"mediaType": mediaType, "digest": digest(blob), "size": len(blob)}
}

func digest(b []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(b)) }

// layer is the image's file system as an uncompressed tar.
func (i Image) layer() ([]byte, error) {
	var out bytes.Buffer
	t := tarball{tar.NewWriter(&out), map[string]bool{}}
	for _, dir := range []string{"dev", "etc", "proc", "sys", "tmp"} {
		if err := t.folder(dir); err != nil {
			return nil, err
		}
	}
	data := map[string][]byte{
		"etc/passwd": []byte("root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"),
		"etc/group":  []byte("root:x:0:\nnogroup:x:65534:\n"),
	}
	maps.Copy(data, i.Data)
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if err := t.file(name, 0o644, data[name]); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.Files)) {
		if err := t.copy(name, i.Files[name]); err != nil {
			return nil, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(i.Links)) {
		if err := t.link(name, i.Links[name]); err != nil {
			return nil, err
		}
	}
	err := t.Close()
	return out.Bytes(), err
}

// tarball writes entries together with the folders they lie in.
type tarball struct {
	*tar.Writer
	made map[string]bool
}

func (t tarball) folder(name string) error {
	name = strings.Trim(name, "/")
	if name == "." || name == "" || t.made[name] {
		return nil
	}
	if err := t.folder(path.Dir(name)); err != nil {
		return err
	}
	t.made[name] = true
	mode := int64(0o755)
	if name == "tmp" {
		mode = 0o1777
	}
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: epoch})
}

func (t tarball) file(name string, mode int64, data []byte) error {
	name = strings.Trim(name, "/")
	if err := t.folder(path.Dir(name)); err != nil {
		return err
	}
	if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode, Size: int64(len(data)), ModTime: epoch}); err != nil {
		return err
	}
	_, err := t.Write(data)
	return err
}

func (t tarball) copy(name, from string) error {
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	mode := int64(0o644)
	if info.Mode()&0o111 != 0 {
		mode = 0o755
	}
	return t.file(name, mode, data)
}

func (t tarball) link(name, target string) error {
	name = strings.Trim(name, "/")
	if err := t.folder(path.Dir(name)); err != nil {
		return err
	}
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777, ModTime: epoch})
}
