package agent

import (
	"fmt"
	"time"

	"github.com/toolcrib/toolcrib/controller/outcome"
)

// problems are all that is wrong with an Agent, for one message.
type problems struct{ all []error }

// add says what is wrong and what to do. What is named is watched, so that the
// Agent is looked at again when it changes.
func (p *problems) add(reason, format string, args ...any) {
	p.all = append(p.all, outcome.Stalled(reason, format, args...))
}

// unseen is add for what nothing tells when it changes.
func (p *problems) unseen(reason, format string, args ...any) {
	p.all = append(p.all, outcome.Waiting(time.Minute, reason, format, args...))
}

// fail is an error of ours.
func (p *problems) fail(err error) {
	if err != nil {
		p.all = append(p.all, err)
	}
}

func (p *problems) err() error { return outcome.Join(p.all...) }

func at(path string, i int) string { return fmt.Sprintf("%s[%d]", path, i) }
