package images

import (
	"bytes"
	"debug/buildinfo"
	"debug/elf"
	"fmt"
	"os"
	"path"
	"runtime/debug"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// program is a Go binary, and what its build information says of it.
type program struct {
	path     string // on disk
	name     string
	platform v1.Platform
	data     []byte
	build    *debug.BuildInfo
}

// readProgram reads a static Go binary for Linux. No other runs in an image
// that holds nothing else.
func readProgram(file string) (program, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return program{}, err
	}
	build, err := buildinfo.Read(bytes.NewReader(data))
	if err != nil {
		return program{}, fmt.Errorf("%s is no Go binary: %w", file, err)
	}
	p := program{path: file, name: path.Base(build.Path), data: data, build: build}
	for _, s := range build.Settings {
		switch s.Key {
		case "GOOS":
			p.platform.OS = s.Value
		case "GOARCH":
			p.platform.Architecture = s.Value
		}
	}
	if p.platform.OS != "linux" {
		return program{}, fmt.Errorf("%s is for %s: build it with GOOS=linux", file, p.platform)
	}
	return p, p.checkStatic()
}

func (p program) checkStatic() error {
	binary, err := elf.NewFile(bytes.NewReader(p.data))
	if err != nil {
		return fmt.Errorf("read %s: %w", p.path, err)
	}
	libraries, err := binary.ImportedLibraries()
	if err != nil {
		return fmt.Errorf("read %s: %w", p.path, err)
	}
	for _, segment := range binary.Progs {
		if segment.Type == elf.PT_INTERP {
			return fmt.Errorf("%s needs a loader and %q: build it with CGO_ENABLED=0", p.path, strings.Join(libraries, " "))
		}
	}
	return nil
}
