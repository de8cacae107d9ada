package record

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
)

// File is a record in a file: one line of JSON for each event, in order. It is
// on the disk when Append returns, and one process at a time writes it.
type File struct {
	mu     sync.Mutex
	file   *os.File
	events []Event
	bytes  int
	broken error // why nothing more can be appended
}

// ErrBusy is what [OpenFile] fails with while another process works on the run.
var ErrBusy = errors.New("another process is working on this run")

// line is an event as it stands in a file. What is appended together is kept
// together: all of it but the last says that more belongs to it.
type line struct {
	Event
	More bool `json:"more,omitempty"`
}

// OpenFile opens the record at path, and makes it if there is none. What a
// process was writing when it was killed is taken off the end.
func OpenFile(path string) (*File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("keep a record: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("keep a record: %w", err)
	}
	f := &File{file: file}
	if err := f.load(); err != nil {
		file.Close()
		return nil, fmt.Errorf("record %s: %w", path, err)
	}
	return f, nil
}

func (f *File) load() error {
	if err := lock(f.file); err != nil {
		return err
	}
	content, err := io.ReadAll(f.file)
	if err != nil {
		return err
	}
	events, whole, err := Parse(content)
	if err != nil {
		return err
	}
	f.events, f.bytes = events, whole
	if whole == len(content) {
		return syncDirectory(f.file.Name())
	}
	if err := f.file.Truncate(int64(whole)); err != nil {
		return fmt.Errorf("take off a line that was cut short: %w", err)
	}
	return f.file.Sync()
}

// Parse reads the content of a file. The end that a killed process may have
// left unfinished is left out: whole says how many bytes make up the events.
// What is wrong before that is an error.
func Parse(content []byte) (events []Event, whole int, err error) {
	var together []Event
	for at, number := 0, 1; at < len(content); number++ {
		end := bytes.IndexByte(content[at:], '\n')
		if end < 0 {
			break
		}
		next := at + end + 1
		l, err := parseLine(content[at : next-1])
		if err != nil && next == len(content) {
			break // the last line, as a machine leaves it that lost its power
		}
		if err != nil {
			return nil, 0, fmt.Errorf("line %d is not an event of a run: %w", number, err)
		}
		together, at = append(together, l.Event), next
		if !l.More {
			events, together, whole = append(events, together...), nil, next
		}
	}
	return events, whole, nil
}

func parseLine(text []byte) (line, error) {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return l, err
	}
	if l.Type == "" {
		return l, errors.New("it has no type")
	}
	return l, nil
}

// Events implements [Log].
func (f *File) Events() []Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.events[:len(f.events):len(f.events)]
}

// Append implements [Log].
func (f *File) Append(ctx context.Context, events ...Event) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.broken != nil:
		return f.broken
	case ctx.Err() != nil:
		return ctx.Err()
	case !Fits(len(f.events), f.bytes, events...):
		return ErrFull
	}
	var lines []byte
	for i, e := range events {
		text, err := json.Marshal(line{e, i < len(events)-1})
		if err != nil {
			return fmt.Errorf("write the record: %w", err)
		}
		lines = append(append(lines, text...), '\n')
	}
	_, err := f.file.Write(lines)
	if err == nil {
		err = f.file.Sync()
	}
	if err != nil {
		// How much of it is on the disk is not known, so nothing may follow.
		f.broken = fmt.Errorf("write the record: %w", err)
		return f.broken
	}
	f.events, f.bytes = append(f.events, events...), f.bytes+len(lines)
	return nil
}

// Close ends the work on the file, so that another process may go on.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.broken == nil {
		f.broken = os.ErrClosed
	}
	return f.file.Close()
}

// syncDirectory keeps the file's name, as it was just made.
func syncDirectory(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Memory is a record that is kept nowhere: for a run that nobody resumes. The
// zero value is empty.
type Memory struct {
	mu     sync.Mutex
	events []Event
	bytes  int
}

// Events implements [Log].
func (m *Memory) Events() []Event {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.events[:len(m.events):len(m.events)]
}

// Append implements [Log].
func (m *Memory) Append(ctx context.Context, events ...Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if !Fits(len(m.events), m.bytes, events...) {
		return ErrFull
	}
	for _, e := range events {
		m.bytes += Size(e)
	}
	m.events = append(m.events, events...)
	return nil
}
