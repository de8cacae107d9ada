package images

import (
	"bytes"
	"runtime/debug"
	"strings"

	"github.com/CycloneDX/cyclonedx-go"
)

// SBOMType is the media type of the images' bills of materials.
const SBOMType = "application/vnd.cyclonedx+json"

// sbomPath is where an image keeps its bill of materials: scanners look for the
// suffix.
func sbomPath(name string) string { return "var/lib/db/sbom/" + name + ".cdx.json" }

// sbom lists the modules in the binary, as the Go toolchain recorded them. It
// carries neither a time nor a serial number, so that the same binary has the
// same one.
func (p program) sbom(version string) ([]byte, error) {
	bom := cyclonedx.NewBOM()
	self := cyclonedx.Component{
		BOMRef: p.name, Type: cyclonedx.ComponentTypeApplication, Name: p.name, Version: version,
		PackageURL: purl(p.build.Main.Path, version),
		Licenses:   &cyclonedx.Licenses{{License: &cyclonedx.License{ID: "Apache-2.0"}}},
	}
	bom.Metadata = &cyclonedx.Metadata{Component: &self}
	standard := library("std", p.build.GoVersion)
	components, needs := []cyclonedx.Component{standard}, []string{standard.BOMRef}
	for _, m := range p.build.Deps {
		c := module(m, version)
		components, needs = append(components, c), append(needs, c.BOMRef)
	}
	bom.Components = &components
	bom.Dependencies = &[]cyclonedx.Dependency{{Ref: self.BOMRef, Dependencies: &needs}}
	var out bytes.Buffer
	err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).Encode(bom)
	return out.Bytes(), err
}

// module is one dependency. What comes from a folder of this repository has the
// version of the release.
func module(m *debug.Module, version string) cyclonedx.Component {
	from := m
	if m.Replace != nil {
		from = m.Replace
	}
	if from.Version == "" || from.Version == "(devel)" {
		return library(m.Path, version)
	}
	return library(from.Path, from.Version)
}

func library(path, version string) cyclonedx.Component {
	ref := purl(path, version)
	return cyclonedx.Component{BOMRef: ref, Type: cyclonedx.ComponentTypeLibrary, Name: path, Version: version, PackageURL: ref}
}

// purl names a Go module as scanners look it up (package-url specification,
// type golang).
func purl(path, version string) string {
	return "pkg:golang/" + path + "@" + strings.ReplaceAll(strings.TrimPrefix(version, "go"), "+", "%2B")
}
