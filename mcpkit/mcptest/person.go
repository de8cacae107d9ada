package mcptest

import "sync"

// Person is who decides at the client: answers every question alike and
// remembers what they were asked. Questions may come at the same time.
type Person struct {
	Says  string   // "accept", "decline" or "cancel"
	Asked []string // to be read when no call is on its way
	First func()   // happens while the person thinks; nothing if nil

	one sync.Mutex
}

// Decide answers one question; it is the [Decide] of a session.
func (p *Person) Decide(message string) string {
	p.one.Lock()
	defer p.one.Unlock()
	p.Asked = append(p.Asked, message)
	if p.First != nil {
		p.First()
	}
	return p.Says
}
