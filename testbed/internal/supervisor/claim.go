package supervisor

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// DirPattern is how state folders are named below the system's folder for
// temporary files.
const DirPattern = "tc-*"

const lockFile = "lock"

// claim locks the state folder for as long as this process lives, then clears
// away clusters whose supervisor was killed before it could.
func (s *supervisor) claim() error {
	lock, err := os.CreateTemp(s.Dir, lockFile)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := os.Rename(lock.Name(), s.path(lockFile)); err != nil { // only now: it is never seen unlocked
		return err
	}
	s.lock = lock
	dirs, err := filepath.Glob(filepath.Join(filepath.Dir(s.Dir), DirPattern))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := clear(dir); err != nil {
			s.progress("clear away %s: %v", dir, err)
		}
	}
	return nil
}

// clear removes what is left of a cluster that no supervisor holds.
func clear(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, lockFile)); err != nil || Alive(dir) {
		return nil
	}
	return errors.Join(removeCgroups(Spec{Dir: dir}.cgroup()), os.RemoveAll(dir))
}

// Alive reports whether a supervisor holds the state folder.
func Alive(dir string) bool {
	f, err := os.Open(filepath.Join(dir, lockFile))
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}
