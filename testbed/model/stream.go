package model

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// frame is one event of a stream. Pieces of text are rendered when they are
// sent, so that they can carry the time.
type frame struct {
	piece  bool // a delta: delays, failures and stamps are about these
	text   string
	render func(text string) []byte
}

// fixed is a frame that holds no piece of the answer.
func fixed(content []byte) frame { return frame{render: func(string) []byte { return content }} }

// event is a server-sent event. The values are our own and can be marshalled.
func event(name string, v any) []byte {
	data, _ := json.Marshal(v)
	var b bytes.Buffer
	if name != "" {
		fmt.Fprintf(&b, "event: %s\n", name)
	}
	fmt.Fprintf(&b, "data: %s\n\n", data)
	return b.Bytes()
}

// write answers with JSON.
func write(w http.ResponseWriter, status int, v any) {
	data, _ := json.Marshal(v) // values of our own
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // the client may be gone, which is its business
}

// perform sends an answer, as a stream or whole, with the failure it may hold.
func (s *Server) perform(w http.ResponseWriter, r *http.Request, on wire, c *conversation, a *answer, u usage) {
	w.Header().Set("request-id", "req_"+a.id)
	w.Header().Set("x-request-id", "req_"+a.id)
	if a.fail != nil && (a.fail.After == nil || !c.stream) { // cut or hang
		if a.fail.Hang {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}
	if !c.stream {
		if a.chunk.Delay > 0 {
			total := a.chunk.Delay * time.Duration(len(a.chunk.pieces(a.text))+1)
			if s.options.Wait(r.Context(), total) != nil {
				return
			}
		}
		write(w, http.StatusOK, on.whole(c, a, u))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-cache")
	s.stream(w, r, on, a, on.frames(c, a, u))
}

func (s *Server) stream(w http.ResponseWriter, r *http.Request, on wire, a *answer, frames []frame) {
	out := http.NewResponseController(w)
	sent := 0
	for _, f := range frames {
		if f.piece {
			if a.fail != nil && sent == *a.fail.After {
				break
			}
			sent++
			if a.chunk.Delay > 0 && s.options.Wait(r.Context(), a.chunk.Delay) != nil {
				return
			}
		}
		if _, err := w.Write(f.render(s.stamped(a.chunk, f))); err != nil {
			return
		}
		if out.Flush() != nil {
			return
		}
	}
	if a.fail == nil {
		return
	}
	switch {
	case a.fail.Hang:
		<-r.Context().Done()
	case a.fail.Status != 0:
		_, _ = w.Write(on.failing(a.fail.of()))
		return
	}
	panic(http.ErrAbortHandler)
}

// stamped is the text of a piece, and tells who listens that it is sent now.
func (s *Server) stamped(chunk Chunk, f frame) string {
	if f.text == "" {
		return ""
	}
	text := f.text
	if chunk.Stamp {
		text = stamp() + text
	}
	if s.options.Sent != nil {
		s.options.Sent(time.Now(), text)
	}
	return text
}

func stamp() string { return fmt.Sprintf("[%d]", time.Now().UnixNano()) }

var stamps = regexp.MustCompile(`\[(\d{19})\]`)

// Sent returns when the last stamped piece in a text left the server, by the
// machine's clock. It reports false if the text holds no stamp.
func Sent(text string) (time.Time, bool) {
	found := stamps.FindAllStringSubmatch(text, -1)
	if found == nil {
		return time.Time{}, false
	}
	ns, err := strconv.ParseInt(found[len(found)-1][1], 10, 64)
	return time.Unix(0, ns), err == nil
}

func readKey(file string) (string, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	if key := strings.TrimSpace(string(content)); key != "" {
		return key, nil
	}
	return "", fmt.Errorf("the key file %s is empty", file)
}
