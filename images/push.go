package images

import (
	"archive/tar"
	"context"
	"fmt"
	"io"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Push pushes the image to a registry, such as registry.example.com/toolcrib,
// under the tag of its version, and attaches each platform's bill of materials
// to it as a referrer. Credentials come from docker's configuration. It returns
// the image's reference by digest.
func (i Image) Push(ctx context.Context, registry string) (string, error) {
	tag, err := name.NewTag(registry+"/"+i.Name+":"+i.Version, name.StrictValidation)
	if err != nil {
		return "", fmt.Errorf("push %s: %w", i.Name, err)
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	if err := remote.WriteIndex(tag, i.Index, options...); err != nil {
		return "", fmt.Errorf("push %s: %w", tag, err)
	}
	index, err := i.Index.IndexManifest()
	if err != nil {
		return "", err
	}
	for _, subject := range index.Manifests {
		artifact, err := i.artifact(subject)
		if err != nil {
			return "", fmt.Errorf("find the bill of materials of %s for %s: %w", i.Name, subject.Platform, err)
		}
		digest, err := artifact.Digest()
		if err != nil {
			return "", err
		}
		if err := remote.Write(tag.Context().Digest(digest.String()), artifact, options...); err != nil {
			return "", fmt.Errorf("attach the bill of materials to %s: %w", tag, err)
		}
	}
	digest, err := i.Index.Digest()
	return tag.Context().Digest(digest.String()).String(), err
}

// artifact is the bill of materials that one platform's image holds, as a
// manifest that refers to that image.
func (i Image) artifact(subject v1.Descriptor) (v1.Image, error) {
	image, err := i.Index.Image(subject.Digest)
	if err != nil {
		return nil, err
	}
	bom, err := content(image, sbomPath(i.Name))
	if err != nil {
		return nil, err
	}
	out := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), SBOMType)
	if out, err = mutate.AppendLayers(out, static.NewLayer(bom, SBOMType)); err != nil {
		return nil, err
	}
	of := v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size}
	return mutate.Subject(out, of).(v1.Image), nil
}

// content is a file of an image.
func content(image v1.Image, path string) ([]byte, error) {
	all := mutate.Extract(image)
	defer all.Close()
	for t := tar.NewReader(all); ; {
		h, err := t.Next()
		if err != nil {
			return nil, fmt.Errorf("look for %s: %w", path, err)
		}
		if h.Name == path {
			return io.ReadAll(t)
		}
	}
}
