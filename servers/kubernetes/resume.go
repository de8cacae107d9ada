package kubernetes

import (
	"encoding/base64"
	"encoding/json"
	"hash/fnv"
	"slices"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// resumeToken continues a list in the middle of one of the API server's pages.
// The first page, which no token of the API server's names, is found again by
// the version of the collection it showed. The API server would take a token for
// any other list as well, so that ours says which list it is of.
type resumeToken struct {
	List    uint32 `json:"l,omitempty"`
	Token   string `json:"t,omitempty"`
	Version string `json:"v,omitempty"`
	Skip    int    `json:"s,omitempty"`
}

func (r resumeToken) String() string {
	raw, _ := json.Marshal(r) // plain fields always encode
	return base64.RawURLEncoding.EncodeToString(raw)
}

// maxSkip bounds what a forged token can ask for.
const maxSkip = 1 << 20

func parseResume(s string) (resumeToken, error) {
	var r resumeToken
	if s == "" {
		return r, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil || r.Skip < 0 || r.Skip > maxSkip {
		return resumeToken{}, mcpkit.Errorf(mcpkit.Invalid, "continue is not a token of an earlier answer; leave it out to start again")
	}
	return r, nil
}

// identity tells one list from another, in which the same token means nothing.
func (l *listing) identity() uint32 {
	h := fnv.New32a()
	for _, part := range []string{l.t.path(l.namespace, ""), l.in.LabelSelector, l.in.FieldSelector} {
		_, _ = h.Write(append([]byte(part), 0)) // a hash takes everything
	}
	return h.Sum32()
}

// pageMark remembers which row a page began at, and how to ask for it again.
type pageMark struct {
	at   int
	from resumeToken
}

// resumeAt is the token that continues at row kept.
func resumeAt(marks []pageMark, kept int) string {
	for _, m := range slices.Backward(marks) {
		if m.at <= kept {
			m.from.Skip += kept - m.at
			return m.from.String()
		}
	}
	return ""
}
