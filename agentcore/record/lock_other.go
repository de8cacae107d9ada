//go:build !unix

package record

import (
	"errors"
	"os"
)

// lock refuses: without a lock two processes could work on one run.
func lock(*os.File) error {
	return errors.New("records in files need a Unix, where files can be locked; run agentcore there")
}
