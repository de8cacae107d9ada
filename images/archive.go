package images

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
)

// Annotations of an archive's entry: the tag, and the name containerd and
// docker give the image when they load it.
const (
	tagAnnotation  = "org.opencontainers.image.ref.name"
	nameAnnotation = "io.containerd.image.name"
)

// Reference is what a pod calls the image by once an archive of it is loaded.
func (i Image) Reference() string { return "docker.io/toolcrib/" + i.Name + ":" + i.Version }

// Write writes the image as an OCI archive. Equal images give equal archives.
func (i Image) Write(to string) error {
	dir, err := os.MkdirTemp("", "toolcrib-image-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	_, err = layout.Write(dir, mutate.AppendManifests(empty.Index, mutate.IndexAddendum{Add: i.Index, Descriptor: v1.Descriptor{
		Annotations: map[string]string{tagAnnotation: i.Version, nameAnnotation: i.Reference()},
	}}))
	if err != nil {
		return fmt.Errorf("write the image %s: %w", i.Name, err)
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	return errors.Join(pack(out, os.DirFS(dir)), out.Close())
}

// pack writes a folder as a tar that tells neither of times nor of owners.
func pack(w io.Writer, from fs.FS) error {
	t := tar.NewWriter(w)
	err := fs.WalkDir(from, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(from, name)
		if err != nil {
			return err
		}
		if err := t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(data)), ModTime: time.Unix(0, 0)}); err != nil {
			return err
		}
		_, err = t.Write(data)
		return err
	})
	return errors.Join(err, t.Close())
}

// Open reads an archive that Write has written. Its content is there until
// close is called.
func Open(archive string) (i Image, close func() error, err error) {
	dir, err := os.MkdirTemp("", "toolcrib-image-*")
	if err != nil {
		return Image{}, nil, err
	}
	if i, err = unpacked(archive, dir); err != nil {
		return Image{}, nil, errors.Join(fmt.Errorf("read the image archive %s: %w", archive, err), os.RemoveAll(dir))
	}
	return i, func() error { return os.RemoveAll(dir) }, nil
}

func unpacked(archive, dir string) (Image, error) {
	in, err := os.Open(archive)
	if err != nil {
		return Image{}, err
	}
	defer in.Close()
	if err := unpack(in, dir); err != nil {
		return Image{}, err
	}
	all, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return Image{}, err
	}
	m, err := all.IndexManifest()
	if err != nil {
		return Image{}, err
	}
	if len(m.Manifests) != 1 || m.Manifests[0].Annotations[tagAnnotation] == "" {
		return Image{}, errors.New("it does not hold one tagged image: write it with images build")
	}
	index, err := all.ImageIndex(m.Manifests[0].Digest)
	if err != nil {
		return Image{}, err
	}
	of, err := index.IndexManifest()
	if err != nil {
		return Image{}, err
	}
	return Image{Name: of.Annotations["org.opencontainers.image.title"], Version: m.Manifests[0].Annotations[tagAnnotation], Index: index}, nil
}

// unpack writes the regular files of a tar below dir, and nothing outside it.
func unpack(r io.Reader, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for t := tar.NewReader(r); ; {
		h, err := t.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if h.Typeflag != tar.TypeReg {
			continue
		}
		if err := root.MkdirAll(path.Dir(h.Name), 0o755); err != nil {
			return err
		}
		f, err := root.Create(h.Name)
		if err != nil {
			return err
		}
		if _, err := io.Copy(f, t); err != nil {
			return errors.Join(err, f.Close())
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
}
