package run

import (
	"crypto/rand"
	"regexp"
	"strings"
	"sync"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// takenOut stands in a question for what looked like a credential. It is the same
// for all of them, since a fingerprint of what people type could be tried out by
// whoever reads the record, and since a message that is sent again must stay the
// same.
const takenOut = "redacted:00000000"

// TakenOut is what people are told whose question held what looks like a
// credential.
const TakenOut = "what looked like a credential was taken out of the question (" + takenOut + "); agents need none, so if it was none, say it in another way"

var (
	redactor = sync.OnceValue(func() *mcpkit.Redactor { return mcpkit.NewRedactor([]byte(rand.Text())) })
	marks    = regexp.MustCompile(`redacted:[0-9a-f]{8}`)
)

// WithoutSecrets is a question as it may be kept and shown: without what looks
// like a credential, and without what nobody would see. It is the same for the
// same question in every process.
func WithoutSecrets(question string) string {
	return marks.ReplaceAllStringFunc(redactor().Text(strings.ToValidUTF8(question, "\uFFFD")), func(mark string) string {
		if strings.Contains(question, mark) { // it stood there before, as tools write them
			return mark
		}
		return takenOut
	})
}

// HasTakenOut reports whether something was taken out of a question.
func HasTakenOut(question string) bool { return strings.Contains(question, takenOut) }
