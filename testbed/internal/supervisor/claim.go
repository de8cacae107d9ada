package supervisor

import (
	"errors"
	"os"

	"github.com/toolcrib/toolcrib/testbed/internal/claim"
)

// DirPattern is how state folders are named below the system's folder for
// temporary files.
const DirPattern = "tc-*"

// claim holds the state folder for as long as this process lives, then clears
// away clusters whose supervisor was killed before it could.
func (s *supervisor) claim() (err error) {
	if s.lock, err = claim.Take(s.Dir); err != nil {
		return err
	}
	dirs, err := claim.Abandoned(DirPattern)
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if err := errors.Join(removeCgroups(Spec{Dir: dir}.cgroup()), os.RemoveAll(dir)); err != nil {
			s.progress("clear away %s: %v", dir, err)
		}
	}
	return nil
}
