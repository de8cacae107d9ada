package agenttrigger

import (
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// defaultCooldown is that of a trigger that does not say.
const defaultCooldown = 30 * time.Minute

// earlier is a run that a trigger began.
type earlier struct {
	key    string // digest of it
	began  time.Time
	active bool
}

// history is what a trigger has begun, by the names of the runs: those that
// exist, and those that the trigger's status remembers.
type history map[string]earlier

// remember adds what the status says of runs that may be gone.
func (h history) remember(recent []v1alpha1.TriggerRecent) {
	for _, r := range recent {
		if _, exists := h[r.Run]; !exists {
			h[r.Run] = earlier{key: digest(r.Key), began: r.At.Time}
		}
	}
}

// verdict is what becomes of alerts.
type verdict int

const (
	start verdict = iota
	deduplicated
	cooled
)

// decide says what becomes of alerts that are known by the key.
func (h history) decide(key string, now time.Time, cooldown time.Duration, maxActive int) verdict {
	d, active, cools := digest(key), 0, false
	for _, e := range h {
		if e.active {
			active++
		}
		if e.key != d {
			continue
		}
		if e.active {
			return deduplicated
		}
		cools = cools || now.Sub(e.began) < cooldown
	}
	if cools || active >= maxActive {
		return cooled
	}
	return start
}

// next is the number of the next run. Whoever begins a run takes the next number
// of those they have seen, so that of two who decide at once only one can make
// it, and the other decides anew.
func (h history) next(prefix string) int {
	most := 0
	for name := range h {
		rest, ours := strings.CutPrefix(name, prefix)
		if n, err := strconv.Atoi(rest); ours && err == nil && n > most {
			most = n
		}
	}
	return most + 1
}

func cooldown(t *v1alpha1.AgentTrigger) time.Duration {
	if t.Spec.Cooldown == nil {
		return defaultCooldown
	}
	return t.Spec.Cooldown.Duration
}
