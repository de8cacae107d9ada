//go:build unix

package record

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lock keeps other processes off the file, until it is closed or this process
// has ended.
func lock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return ErrBusy
	}
	if err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}
