package mcpkit

import (
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// When is an instant as a model may write it: a duration before now ("15m"),
// RFC 3339, or epoch seconds. The zero When is absent.
type When struct {
	at  time.Time
	ago time.Duration
	set bool
}

// IsZero reports whether the argument was absent.
func (w When) IsZero() bool { return !w.set }

// Time returns the instant, counting durations back from now.
func (w When) Time(now time.Time) time.Time {
	if w.at.IsZero() && w.set {
		return now.Add(-w.ago)
	}
	return w.at
}

// Duration returns the duration the argument was written as, for one that means
// a time ahead; false when it was written as a time.
func (w When) Duration() (time.Duration, bool) { return w.ago, w.set && w.at.IsZero() }

// Ago returns a When that lies d before now.
func Ago(d time.Duration) When { return When{ago: d, set: true} }

// UnmarshalJSON reads the three forms.
func (w *When) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := ParseWhen(s)
	*w = parsed
	return err
}

// ParseWhen reads a duration before now, an RFC 3339 time or epoch seconds.
func ParseWhen(s string) (When, error) {
	s = strings.TrimSpace(s)
	if s == "" {
		return When{}, nil
	}
	if at, err := time.Parse(time.RFC3339, s); err == nil {
		return When{at: at, set: true}, nil
	}
	if d, err := model.ParseDuration(s); err == nil {
		return Ago(time.Duration(d)), nil
	}
	if sec, err := strconv.ParseFloat(s, 64); err == nil && sec > 0 && sec < 1e11 {
		return When{at: time.UnixMilli(int64(sec * 1000)), set: true}, nil
	}
	return When{}, Errorf(Invalid, `%q is not a time; write a duration such as "15m", an RFC 3339 time such as "2026-01-02T15:04:05Z", or epoch seconds`, short(s))
}

// Duration is a length of time in Prometheus's notation: "90s", "15m", "1h30m", "7d".
type Duration time.Duration

// UnmarshalJSON reads Prometheus's notation.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return err
	}
	parsed, err := model.ParseDuration(strings.TrimSpace(s))
	if err != nil {
		return Errorf(Invalid, `%q is not a duration; write one such as "90s", "15m", "1h30m" or "7d"`, short(s))
	}
	*d = Duration(parsed)
	return nil
}
