package build

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Cache returns the folder everything built or downloaded is kept in:
// $TOOLCRIB_CACHE, else toolcrib below the user's cache folder.
func Cache() (string, error) {
	if dir := os.Getenv("TOOLCRIB_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find a cache folder (set TOOLCRIB_CACHE): %w", err)
	}
	return filepath.Join(dir, "toolcrib"), nil
}

// Root returns the root of the repository around the working directory: the
// nearest folder above it that holds testbed/backends.
func Root() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if info, err := os.Stat(filepath.Join(dir, "testbed", "backends")); err == nil && info.IsDir() {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("no testbed/backends in %s or above it: run inside a checkout of the repository", wd)
		}
	}
}

// Lock takes the named lock of the cache, waiting for other processes to let
// go of it and saying so on progress; the returned function lets go. A process
// that dies lets go too.
func Lock(ctx context.Context, name string, progress io.Writer) (unlock func(), err error) {
	cache, err := Cache()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(cache, name+".lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for told := false; ; told = true {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil
		}
		if !told {
			fmt.Fprintf(progress, "waiting for another process that holds %s\n", f.Name())
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", f.Name(), ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// keyOf hashes the words and the files matched by the patterns, names and
// contents both, tests left out.
func keyOf(words []string, patterns ...string) (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", words)
	for _, pattern := range patterns {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(h, "%s %d\n", filepath.Base(file), len(data))
			h.Write(data)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:16], nil
}
