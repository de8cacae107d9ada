package prometheus

import (
	"math"
	"time"

	"github.com/prometheus/common/model"
)

const day = 24 * time.Hour

// steps are those a person would choose.
var steps = []time.Duration{
	time.Second, 2 * time.Second, 5 * time.Second, 10 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 2 * time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, day,
}

// chooseStep returns the shortest round step that divides a range into at most
// points parts.
func chooseStep(over time.Duration, points int) time.Duration {
	least := max(over/time.Duration(max(points, 1)), time.Second)
	for _, s := range steps {
		if s >= least {
			return s
		}
	}
	return time.Duration(math.Ceil(float64(least)/float64(day))) * day
}

// pointsOf is how many points a range query returns of a series that is always there.
func pointsOf(over, step time.Duration) int {
	if step <= 0 {
		return 1
	}
	return int(over/step) + 1
}

// span writes a duration in Prometheus's notation, to the second where it is
// longer than one.
func span(d time.Duration) string {
	if d > time.Second {
		d = d.Round(time.Second)
	}
	return model.Duration(d).String()
}

// instant writes a moment to the second, or exactly where it is between two.
func instant(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
