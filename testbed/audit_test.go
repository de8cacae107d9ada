package testbed

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toolcrib/toolcrib/testbed/internal/supervisor"
)

// A line of the audit log grows as it is written; a reader that starts then
// must start with the line, however long it is.
func TestAuditMarkWhileALineIsWritten(t *testing.T) {
	for name, long := range map[string]int{"short": 10, "longer than one read": 10_000, "ends with a read": 4096 - len(`{"verb":"watch","requestURI":"/"}`)} {
		t.Run(name, func(t *testing.T) {
			c := &Cluster{Dir: t.TempDir()}
			file := filepath.Join(c.Dir, supervisor.AuditFile)
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			earlier := `{"verb":"get"}` + "\n"
			later := fmt.Sprintf(`{"verb":"watch","requestURI":"/%s"}`, strings.Repeat("u", long)) + "\n"
			for _, written := range []int{0, 1, len(later) / 2, len(later) - 1, len(later)} {
				require.NoError(t, os.WriteFile(file, []byte(earlier+later[:written]), 0o644))
				mark, err := c.AuditMark()
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(file, []byte(earlier+later), 0o644))
				events, err := c.Audit(mark)
				require.NoError(t, err, "after %d bytes", written)
				if written == len(later) {
					require.Empty(t, events)
					continue
				}
				require.Len(t, events, 1)
				require.Equal(t, "watch", events[0].Verb)
			}
		})
	}
}
