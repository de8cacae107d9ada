package testbed

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/toolcrib/toolcrib/testbed/internal/supervisor"
)

// AuditEvent is one request as the API server recorded it. The cluster's own
// requests are not recorded.
type AuditEvent struct {
	Verb         string
	User         string
	Groups       []string
	Impersonated string              // user acted as, if any
	Extra        map[string][]string // of the user acted as
	UserAgent    string
	Group        string // API group; empty for core
	Resource     string
	Subresource  string
	Namespace    string
	Name         string
	Code         int
	RequestURI   string
	Stage        string // ResponseComplete, but ResponseStarted too for watches, logs -f and exec
	At           time.Time
}

// AuditMark is a place between two lines of the audit log. The zero value is
// its start.
type AuditMark int64

// AuditMark returns the present end of the audit log. A request that was being
// written down at that moment comes after it.
func (c *Cluster) AuditMark() (AuditMark, error) {
	if c.external {
		return 0, fmt.Errorf("read the audit log: %w", errExternal)
	}
	f, err := os.Open(c.auditFile())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	end, err := lastLineEnd(f, info.Size())
	return AuditMark(end), err
}

// lastLineEnd returns where the last whole line within the first size bytes
// ends. The API server's write of a line can be seen half done.
func lastLineEnd(f io.ReaderAt, size int64) (int64, error) {
	const step = 4096
	for end := size; end > 0; {
		chunk := make([]byte, min(step, end))
		end -= int64(len(chunk))
		if _, err := f.ReadAt(chunk, end); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(chunk, '\n'); i >= 0 {
			return end + int64(i) + 1, nil
		}
	}
	return 0, nil
}

// Audit returns what the API server recorded after the mark. A request that
// has been answered in full is there.
func (c *Cluster) Audit(since AuditMark) ([]AuditEvent, error) {
	if c.external {
		return nil, fmt.Errorf("read the audit log: %w", errExternal)
	}
	f, err := os.Open(c.auditFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // nobody has asked anything
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if _, err := f.Seek(int64(since), io.SeekStart); err != nil {
		return nil, err
	}
	var events []AuditEvent
	for lines := bufio.NewReader(f); ; {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			return events, nil // a line without its end is still being written
		}
		if err != nil {
			return nil, err
		}
		e, err := parseAudit(line)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Name(), err)
		}
		events = append(events, e)
	}
}

func (c *Cluster) auditFile() string { return filepath.Join(c.Dir, supervisor.AuditFile) }

func parseAudit(line []byte) (AuditEvent, error) {
	var record struct {
		Verb, UserAgent, RequestURI, Stage string
		User                               struct {
			Username string
			Groups   []string
		}
		ImpersonatedUser struct {
			Username string
			Extra    map[string][]string
		}
		ObjectRef struct {
			APIGroup, Resource, Subresource, Namespace, Name string
		}
		ResponseStatus           struct{ Code int }
		RequestReceivedTimestamp time.Time
	}
	err := json.Unmarshal(line, &record)
	ref := record.ObjectRef
	return AuditEvent{
		Verb: record.Verb, User: record.User.Username, Groups: record.User.Groups, Impersonated: record.ImpersonatedUser.Username,
		Extra:     record.ImpersonatedUser.Extra,
		UserAgent: record.UserAgent, Group: ref.APIGroup, Resource: ref.Resource, Subresource: ref.Subresource,
		Namespace: ref.Namespace, Name: ref.Name, Code: record.ResponseStatus.Code, RequestURI: record.RequestURI,
		Stage: record.Stage, At: record.RequestReceivedTimestamp,
	}, err
}
