package prometheus

import (
	"context"
	"io"
	"net/http"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// maxBody is how many bytes of one answer of the backend are kept: what a
// process of 100 MB can decode.
const maxBody = 12 << 20

// maxRead is how many bytes of one answer are read to count what is not kept.
const maxRead = 256 << 20

// tally asks that of the list an answer holds only the first keep elements be
// decoded, and is told how many there were: a backend that ignores the limit
// parameter must not fill the memory of this process.
type tally struct {
	keep  int
	total int // of the list, once the answer is read
}

type tallyKey struct{}

func withTally(ctx context.Context, t *tally) context.Context {
	return context.WithValue(ctx, tallyKey{}, t)
}

// bounded is a transport whose answers are bounded in size, and in their list
// where the request's context has a tally.
type bounded struct{ next http.RoundTripper }

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	t, _ := r.Context().Value(tallyKey{}).(*tally)
	resp.Body = &boundedBody{body: resp.Body, list: listFilter{tally: t}}
	return resp, nil
}

// boundedBody lets through what listFilter keeps, up to maxBody.
type boundedBody struct {
	body       io.ReadCloser
	list       listFilter
	read, kept int
}

func (b *boundedBody) Read(p []byte) (int, error) {
	for {
		n, err := b.body.Read(p)
		b.read += n
		n = b.list.filter(p[:n])
		b.kept += n
		if b.kept > maxBody || b.read > maxRead {
			return 0, mcpkit.Errorf(mcpkit.TooLarge, "Prometheus answers with more than %d MB, which is too much to read; aggregate with sum by (...) or topk, or ask for a shorter range", min(b.read, maxRead)>>20)
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (b *boundedBody) Close() error { return b.body.Close() }

// listFilter passes an answer of Prometheus's API on, byte by byte, without
// those elements of its list that are too many. The list is that under data, or
// under result in data.
type listFilter struct {
	tally *tally

	depth    int
	inString bool
	escaped  bool
	key      []byte    // the string read last
	path     [3]string // the keys of the objects around, outermost first
	list     int       // depth of the list's elements while in it
	filled   bool      // whether the present element has begun
}

// filter moves what is kept of p to its front and returns how much that is.
func (f *listFilter) filter(p []byte) int {
	if f.tally == nil {
		return len(p)
	}
	n := 0
	for _, c := range p {
		if f.step(c) {
			p[n] = c
			n++
		}
	}
	return n
}

// step follows the structure of JSON by one byte and reports whether to keep it.
func (f *listFilter) step(c byte) bool {
	if f.inString {
		f.character(c)
		return f.keeping()
	}
	switch c {
	case '"':
		f.begin()
		f.inString, f.key = true, f.key[:0]
	case '{', '[':
		f.begin()
		f.open(c)
	case '}', ']':
		if f.list > 0 && f.depth == f.list {
			f.list = 0 // the list ends; its bracket is kept
		}
		f.depth--
	case ':':
		if f.depth >= 1 && f.depth <= len(f.path) {
			f.path[f.depth-1] = string(f.key)
		}
	case ',':
		if f.list > 0 && f.depth == f.list {
			f.filled = false
			return f.tally.total < f.tally.keep
		}
	case ' ', '\n', '\r', '\t':
	default:
		f.begin()
	}
	return f.keeping()
}

func (f *listFilter) character(c byte) {
	switch {
	case f.escaped:
		f.escaped = false
	case c == '\\':
		f.escaped = true
	case c == '"':
		f.inString = false
		return
	}
	if f.depth <= len(f.path) && len(f.key) < 16 { // longer keys are none of ours
		f.key = append(f.key, c)
	}
}

// begin counts an element of the list when its first byte comes.
func (f *listFilter) begin() {
	if f.list > 0 && f.depth == f.list && !f.filled {
		f.filled = true
		f.tally.total++
	}
}

func (f *listFilter) open(c byte) {
	isList := c == '[' && f.list == 0 &&
		(f.depth == 1 && f.path[0] == "data" || f.depth == 2 && f.path[0] == "data" && f.path[1] == "result")
	f.depth++
	if isList {
		f.list, f.filled, f.tally.total = f.depth, false, 0
	}
}

func (f *listFilter) keeping() bool {
	return f.list == 0 || f.tally.total <= f.tally.keep
}
