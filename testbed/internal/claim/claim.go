// Package claim tells state folders in use from those whose owner was killed
// before it could remove them.
package claim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// File is what a claimed folder holds; without it the folder is nobody's.
const File = "lock"

// Take claims the folder until the returned file is closed or this process
// ends.
func Take(dir string) (*os.File, error) {
	lock, err := os.CreateTemp(dir, File)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return nil, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	return lock, os.Rename(lock.Name(), filepath.Join(dir, File)) // only now: it is never seen unlocked
}

// MakeDir makes a folder for temporary files, as os.MkdirTemp does, and claims
// it. Abandoned ones of that pattern are removed.
func MakeDir(pattern string) (dir string, lock *os.File, err error) {
	if dir, err = os.MkdirTemp("", pattern); err != nil {
		return "", nil, err
	}
	if lock, err = Take(dir); err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	abandoned, err := Abandoned(pattern)
	for _, left := range abandoned {
		err = errors.Join(err, os.RemoveAll(left))
	}
	return dir, lock, err
}

// Held reports whether somebody claims the folder now.
func Held(dir string) bool {
	f, err := os.Open(filepath.Join(dir, File))
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// Abandoned returns the folders below the one for temporary files whose name
// matches the pattern and whose owner is gone.
func Abandoned(pattern string) ([]string, error) {
	locks, err := filepath.Glob(filepath.Join(os.TempDir(), pattern, File))
	if err != nil {
		return nil, err
	}
	var abandoned []string
	for _, lock := range locks {
		if dir := filepath.Dir(lock); !Held(dir) {
			abandoned = append(abandoned, dir)
		}
	}
	return abandoned, nil
}
