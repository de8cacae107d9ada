package mcpkit

// Redactor takes secrets out of what leaves a server.
type Redactor struct{ key []byte }

// NewRedactor returns a Redactor whose fingerprints are salted with key.
func NewRedactor(key []byte) *Redactor { return &Redactor{key} }

// Text redacts free text.
func (r *Redactor) Text(s string) string { return s }

func (r *Redactor) node(n *node) {}

func clean(s string) string { return s }
