// Package images makes the programs' container images from their binaries and
// pushes them: no base image, no container daemon. An image holds what the
// binary needs and nothing to take over a container with, and the same inputs
// make the same digest on any machine.
package images

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// User is whom the images run as.
const User = 65532

// Release is what the images of one version have in common.
type Release struct {
	Version  string    // of the servers; their images' tag
	Revision string    // commit they were built from
	Created  time.Time // when that was committed, so that it does not change with the build
}

// Image is the image of one server for any number of platforms.
type Image struct {
	Name    string // of the binary, such as kubernetes-mcp
	Version string
	Index   v1.ImageIndex
}

// Build makes the image of one server from its binaries, one per platform.
func Build(r Release, binaries ...string) (Image, error) {
	if _, err := name.NewTag("image:" + r.Version); err != nil {
		return Image{}, fmt.Errorf("version %q cannot be an image's tag: %w", r.Version, err)
	}
	base, err := baseLayer()
	if err != nil {
		return Image{}, err
	}
	out := Image{Version: r.Version, Index: mutate.IndexMediaType(empty.Index, types.OCIImageIndex)}
	var programs []program
	for _, path := range binaries {
		p, err := readProgram(path)
		if err != nil {
			return Image{}, err
		}
		if out.Name = cmp.Or(out.Name, p.name); p.name != out.Name {
			return Image{}, fmt.Errorf("%s is %s, and the image is for %s: give one program's binaries at a time", path, p.name, out.Name)
		}
		if slices.ContainsFunc(programs, func(o program) bool { return o.platform.Equals(p.platform) }) {
			return Image{}, fmt.Errorf("%s is the second binary for %s", path, p.platform)
		}
		programs = append(programs, p)
	}
	slices.SortFunc(programs, func(a, b program) int { return strings.Compare(a.platform.String(), b.platform.String()) })
	for _, p := range programs {
		one, err := r.image(base, p)
		if err != nil {
			return Image{}, fmt.Errorf("make the image of %s: %w", p.path, err)
		}
		out.Index = mutate.AppendManifests(out.Index, mutate.IndexAddendum{Add: one, Descriptor: v1.Descriptor{Platform: &p.platform}})
	}
	out.Index = mutate.Annotations(out.Index, r.labels(out.Name)).(v1.ImageIndex)
	return out, nil
}

// image is the image for one platform.
func (r Release) image(base v1.Layer, p program) (v1.Image, error) {
	bom, err := p.sbom(r.Version)
	if err != nil {
		return nil, err
	}
	own, err := layer(file{p.name, 0o755, p.data}, file{sbomPath(p.name), 0o644, bom})
	if err != nil {
		return nil, err
	}
	image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
		OS: p.platform.OS, Architecture: p.platform.Architecture, Created: v1.Time{Time: r.Created.UTC()},
		RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{
			User:       fmt.Sprintf("%d:%d", User, User),
			Entrypoint: []string{"/" + p.name},
			WorkingDir: "/",
			Labels:     r.labels(p.name),
		},
	})
	if err != nil {
		return nil, err
	}
	image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
	for _, l := range []v1.Layer{base, own} {
		if image, err = mutate.Append(image, mutate.Addendum{Layer: l, MediaType: types.OCILayer}); err != nil {
			return nil, err
		}
	}
	return mutate.Annotations(image, r.labels(p.name)).(v1.Image), nil
}

// labels are the image's, and its manifests' annotations (OCI image
// specification, annotations).
func (r Release) labels(program string) map[string]string {
	labels := map[string]string{
		"title":       program,
		"description": describe(program),
		"version":     r.Version,
		"revision":    r.Revision,
		"source":      "https://github.com/toolcrib/toolcrib",
		"licenses":    "Apache-2.0",
		"created":     r.Created.UTC().Format(time.RFC3339),
	}
	out := map[string]string{}
	for key, value := range labels {
		out["org.opencontainers.image."+key] = value
	}
	return out
}

// describe says what a program is.
func describe(program string) string {
	if system, ok := strings.CutSuffix(program, "-mcp"); ok {
		return "Toolcrib's MCP tool server for " + system
	}
	return "Toolcrib's " + program
}
