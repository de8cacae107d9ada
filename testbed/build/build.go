// Package build builds the programs that tests run against, each once into a
// cache shared by every checkout and process of the user. It refuses to
// download finished programs: what is not a Go module comes from Debian's
// archive and is unpacked, never installed (see [Debian]).
package build

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// Binary is one program and where it is built from.
type Binary struct {
	Name    string   // of the program
	Module  string   // folder of its go.mod below testbed/, such as backends/kubernetes
	Package string   // what to build in that module; ./NAME if empty
	Sources []string // further files it depends on, as patterns below Module
	Tags    string   // build tags, comma separated
	LDFlags string   // linker flags beside -s -w, such as version stamps
	Links   []string // further names it answers to
}

// Programs tells where built programs lie, by name and by link.
type Programs map[string]string

// Build returns where the binaries are, after building those that the cache
// does not hold for exactly these sources, flags and Go version.
func Build(ctx context.Context, progress io.Writer, binaries ...Binary) (Programs, error) {
	found, missing, err := lookUp(binaries)
	if err != nil || len(missing) == 0 {
		return found, err
	}
	unlock, err := Lock(ctx, "build", progress)
	if err != nil {
		return nil, err
	}
	defer unlock()
	found, missing, err = lookUp(binaries) // another process may have built them meanwhile
	if err != nil {
		return nil, err
	}
	for i, m := range missing {
		start := time.Now()
		fmt.Fprintf(progress, "building %s (%d of %d)\n", m.Name, i+1, len(missing))
		if err := m.build(ctx); err != nil {
			return nil, fmt.Errorf("build %s: %w", m.Name, err)
		}
		fmt.Fprintf(progress, "built %s in %s\n", m.Name, time.Since(start).Round(100*time.Millisecond))
		m.add(found)
	}
	return found, nil
}

// target is a binary with the folders it is built from and into.
type target struct {
	Binary
	source, folder string
}

func lookUp(binaries []Binary) (found Programs, missing []target, err error) {
	root, err := Root()
	if err != nil {
		return nil, nil, err
	}
	cache, err := Cache()
	if err != nil {
		return nil, nil, err
	}
	found = Programs{}
	for _, b := range binaries {
		t := target{Binary: b, source: filepath.Join(root, "testbed", b.Module)}
		key, err := t.key()
		if err != nil {
			return nil, nil, fmt.Errorf("look for %s in the cache: %w", b.Name, err)
		}
		t.folder = filepath.Join(cache, "bin", b.Name+"-"+key)
		if _, err := os.Stat(filepath.Join(t.folder, t.Name)); err != nil {
			missing = append(missing, t)
			continue
		}
		now := time.Now()
		_ = os.Chtimes(t.folder, now, now) // spares it from forgetUnused; a cache may be read-only
		t.add(found)
	}
	return found, missing, nil
}

func (t target) key() (string, error) {
	words := append(t.arguments("out"), runtime.Version(), runtime.GOARCH)
	patterns := []string{"go.mod", "go.sum", filepath.Join(t.path(), "*.go")}
	for i, p := range append(patterns, t.Sources...) {
		if i < len(patterns) {
			patterns[i] = filepath.Join(t.source, p)
			continue
		}
		patterns = append(patterns, filepath.Join(t.source, p))
	}
	return keyOf(words, patterns...)
}

func (t target) path() string { return cmp.Or(t.Package, "./"+t.Name) }

func (t target) arguments(out string) []string {
	args := []string{"build", "-mod=readonly", "-trimpath", "-buildvcs=false", "-ldflags", strings.TrimSpace("-s -w " + t.LDFlags), "-o", out}
	if t.Tags != "" {
		args = append(args, "-tags", t.Tags)
	}
	return append(args, t.path())
}

func (t target) add(to Programs) {
	for _, name := range append(t.Links, t.Name) {
		to[name] = filepath.Join(t.folder, name)
	}
}

// build leaves the program in its folder in one step, so that what lies there
// is always whole.
func (t target) build(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(t.folder), 0o755); err != nil {
		return err
	}
	partial, err := os.MkdirTemp(filepath.Dir(t.folder), "."+t.Name)
	if err != nil {
		return err
	}
	defer os.RemoveAll(partial)
	cmd := exec.CommandContext(ctx, "go", t.arguments(filepath.Join(partial, t.Name))...)
	cmd.Dir = t.source
	cmd.Env = append(os.Environ(), "GOWORK=off", "CGO_ENABLED=0", "GOFLAGS=")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return explain(err, output.String())
	}
	for _, link := range t.Links {
		if err := os.Symlink(t.Name, filepath.Join(partial, link)); err != nil {
			return err
		}
	}
	if err := os.Chmod(partial, 0o755); err != nil {
		return err
	}
	if err := os.RemoveAll(t.folder); err != nil {
		return err
	}
	if err := os.Rename(partial, t.folder); err != nil {
		return err
	}
	return t.forgetUnused()
}

// unused is how long a build of other sources is kept without being asked for.
const unused = 14 * 24 * time.Hour

func (t target) forgetUnused() error {
	folders, err := filepath.Glob(filepath.Join(filepath.Dir(t.folder), t.Name+"-????????????????"))
	if err != nil {
		return err
	}
	for _, folder := range folders {
		if info, err := os.Stat(folder); err == nil && time.Since(info.ModTime()) > unused {
			if err := os.RemoveAll(folder); err != nil {
				return err
			}
		}
	}
	return nil
}

// refusal is how the go command names a module that the proxy does not give.
var refusal = regexp.MustCompile(`(?m)^.*?(\S+@v\S+): (?:reading|verifying|Get) .*?((?:40[0-9]|410|5[0-9][0-9]) [^\n]*|not found)`)

// explain makes one line of the go command's output.
func explain(err error, output string) error {
	if m := refusal.FindStringSubmatch(output); m != nil {
		return fmt.Errorf("the module proxy refuses %s: %s", m[1], m[2])
	}
	var lines []string
	for line := range strings.Lines(output) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "go: downloading") && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return err
	}
	return errors.New(strings.Join(lines[max(0, len(lines)-5):], "; "))
}
