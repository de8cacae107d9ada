package images

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"path"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// file is one file of a layer.
type file struct {
	name string // without a leading slash
	mode int64
	data []byte
}

// baseLayer is what every image begins with: a name for the user and the
// authorities to trust. No time zones: the servers speak UTC.
func baseLayer() (v1.Layer, error) {
	passwd := fmt.Sprintf("nonroot:x:%d:%d:nonroot:/:/sbin/nologin\n", User, User)
	return layer(
		file{"etc/passwd", 0o644, []byte(passwd)},
		file{"etc/ssl/certs/ca-certificates.crt", 0o644, authorities()},
	)
}

// authorities are Mozilla's root certificates. Those that Mozilla trusts only
// in part are left out: a PEM file cannot say so.
func authorities() []byte {
	var out bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes all
		}
	}
	return out.Bytes()
}

// layer packs files, with the folders they lie in, all of root's and as old as
// Unix, so that equal files make equal layers.
func layer(files ...file) (v1.Layer, error) {
	var packed bytes.Buffer
	t := tar.NewWriter(&packed)
	made := map[string]bool{".": true}
	for _, f := range files {
		if err := folders(t, path.Dir(f.name), made); err != nil {
			return nil, err
		}
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: time.Unix(0, 0)}
		if err := t.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := t.Write(f.data); err != nil {
			return nil, err
		}
	}
	if err := t.Close(); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(packed.Bytes())), nil }
	return tarball.LayerFromOpener(open, tarball.WithCompressedCaching, tarball.WithMediaType(types.OCILayer))
}

func folders(t *tar.Writer, name string, made map[string]bool) error {
	if made[name] {
		return nil
	}
	if err := folders(t, path.Dir(name), made); err != nil {
		return err
	}
	made[name] = true
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755, ModTime: time.Unix(0, 0)})
}
