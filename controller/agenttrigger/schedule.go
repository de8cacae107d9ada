package agenttrigger

import (
	"strings"
	"time"
	_ "time/tzdata" // images have no database of time zones

	"github.com/robfig/cron/v3"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/outcome"
)

// startingDeadline is how late a time that was due may still be kept.
const startingDeadline = time.Hour

var parser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// timetable is a schedule that can be asked.
type timetable struct {
	cron cron.Schedule
	zone *time.Location
}

// newTimetable reads the schedule.
func newTimetable(s *v1alpha1.TriggerSchedule) (*timetable, error) {
	zone, err := time.LoadLocation(s.TimeZone)
	if err != nil || s.TimeZone == "Local" {
		return nil, outcome.Stalled("InvalidSchedule", "spec.schedule.timeZone: there is no time zone %q; write one of the IANA's names, such as Europe/Berlin", s.TimeZone)
	}
	if strings.Contains(s.Cron, "=") || strings.HasPrefix(s.Cron, "@every") { // the parser would take both, and panics at some
		return nil, outcome.Stalled("InvalidSchedule", "spec.schedule.cron: give five fields, as in a CronJob, such as 0 7 * * 1-5, and the time zone in timeZone")
	}
	parsed, err := parser.Parse(s.Cron)
	if err != nil {
		return nil, outcome.Stalled("InvalidSchedule", "spec.schedule.cron: %s; give five fields, as in a CronJob, such as 0 7 * * 1-5", err)
	}
	return &timetable{parsed, zone}, nil
}

// after is the first time after t; zero if there is none within five years.
func (s *timetable) after(t time.Time) time.Time {
	next := s.cron.Next(t.In(s.zone))
	if next.IsZero() {
		return next
	}
	return next.UTC()
}

// has says whether t is a time of the schedule.
func (s *timetable) has(t time.Time) bool { return s.after(t.Add(-time.Second)).Equal(t) }

// due is the last time that has come since next, zero if there is none or it was
// missed by more than the deadline.
func (s *timetable) due(next, now time.Time) time.Time {
	if earliest := now.Add(-startingDeadline); next.Before(earliest) {
		next = s.after(earliest)
	}
	var due time.Time
	for t := next; !t.IsZero() && !t.After(now); t = s.after(t) {
		due = t
	}
	return due
}
