package prometheus

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/prometheus/alertmanager/api/v2/client/general"
	alertconfig "github.com/prometheus/alertmanager/config/common"
	"github.com/prometheus/alertmanager/timeinterval"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
	"go.yaml.in/yaml/v2"
)

// routing is what Alertmanager's configuration says of who is notified, as far
// as it can be read. Alertmanager's own config package would read it too, but
// brings the clients of every service it can notify; the parts used here are
// those it is made of.
type routing struct {
	root      *route // nil if it cannot be read
	inhibit   []inhibitRule
	intervals map[string][]timeinterval.TimeInterval
	receivers map[string][]string // their integrations
	unread    []string            // what could not be read, and why
}

// later is a part of a YAML document that is read when its turn comes, so that
// one part that cannot be read spoils no other.
type later func(any) error

// UnmarshalYAML keeps the way to read the part.
func (l *later) UnmarshalYAML(read func(any) error) error {
	*l = read
	return nil
}

// routing reads the configuration that Alertmanager runs with.
func (b *Backend) routing(ctx context.Context) (*routing, error) {
	c, err := b.openAlertmanager(ctx)
	if err != nil {
		return nil, err
	}
	res, err := c.General.GetStatus(general.NewGetStatusParamsWithContext(ctx))
	if err != nil {
		return nil, translateAlertmanager(err, "tell its configuration")
	}
	if res.Payload == nil || res.Payload.Config == nil || res.Payload.Config.Original == nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "Alertmanager does not tell its configuration")
	}
	return readRouting(*res.Payload.Config.Original)
}

// readRouting reads a configuration as Alertmanager shows it, with secrets
// replaced. Fields it does not know are passed over: a newer version may have
// written them.
func readRouting(text string) (*routing, error) {
	readMatchersAsAlertmanager()
	var doc struct {
		Route             later   `yaml:"route"`
		InhibitRules      []later `yaml:"inhibit_rules"`
		Receivers         []later `yaml:"receivers"`
		TimeIntervals     []later `yaml:"time_intervals"`
		MuteTimeIntervals []later `yaml:"mute_time_intervals"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "Alertmanager's configuration cannot be read: %w", err)
	}
	r := &routing{intervals: map[string][]timeinterval.TimeInterval{}, receivers: map[string][]string{}}
	r.readRoute(doc.Route)
	for i, part := range doc.InhibitRules {
		r.read(part, fmt.Sprintf("inhibit rule %d", i+1), r.readInhibitRule)
	}
	for _, part := range slices.Concat(doc.TimeIntervals, doc.MuteTimeIntervals) {
		r.read(part, "a time interval", r.readInterval)
	}
	for _, part := range doc.Receivers {
		r.read(part, "a receiver", r.readReceiver)
	}
	return r, nil
}

// read reads one part, or notes why it cannot.
func (r *routing) read(part later, what string, read func(later) error) {
	if part == nil {
		return
	}
	if err := read(part); err != nil {
		r.unread = append(r.unread, what+" cannot be read: "+strings.ReplaceAll(err.Error(), "\n", " "))
	}
}

func (r *routing) readRoute(part later) {
	if part == nil {
		r.unread = append(r.unread, "the configuration has no route")
		return
	}
	r.read(part, "the route tree", func(part later) error {
		var top routeConfig
		if err := part(&top); err != nil {
			return err
		}
		root, err := newRoute(&top, nil, "root")
		r.root = root
		return err
	})
}

func (r *routing) readInhibitRule(part later) error {
	var rule alertconfig.InhibitRule
	if err := part(&rule); err != nil {
		return err
	}
	source, err := allMatchers(rule.SourceMatch, rule.SourceMatchRE, rule.SourceMatchers)
	if err != nil {
		return err
	}
	target, err := allMatchers(rule.TargetMatch, rule.TargetMatchRE, rule.TargetMatchers)
	if err != nil {
		return err
	}
	name := rule.Name
	if name == "" {
		name = fmt.Sprintf("%d: {%s} inhibits {%s}", len(r.inhibit)+1, matchersText(source), matchersText(target))
	}
	r.inhibit = append(r.inhibit, inhibitRule{name, source, target, rule.Equal})
	return nil
}

func (r *routing) readInterval(part later) error {
	var interval struct {
		Name      string                      `yaml:"name"`
		Intervals []timeinterval.TimeInterval `yaml:"time_intervals"`
	}
	if err := part(&interval); err != nil {
		return err
	}
	r.intervals[interval.Name] = interval.Intervals
	return nil
}

func (r *routing) readReceiver(part later) error {
	var fields map[string]any
	if err := part(&fields); err != nil {
		return err
	}
	name, _ := fields["name"].(string)
	r.receivers[name] = []string{}
	for key, value := range fields {
		kind, isKind := strings.CutSuffix(key, "_configs")
		configs, isList := value.([]any)
		if !isKind || !isList {
			continue
		}
		for _, c := range configs {
			r.receivers[name] = append(r.receivers[name], kind+destination(c))
		}
	}
	slices.Sort(r.receivers[name])
	return nil
}

// destination says where an integration sends to, as far as that is no secret:
// the host of a URL, a channel, an address.
func destination(config any) string {
	fields, _ := config.(map[any]any)
	for _, key := range []any{"channel", "to"} {
		if text, ok := fields[key].(string); ok && text != "" && text != "<secret>" {
			return " to " + text
		}
	}
	for _, key := range []any{"url", "api_url", "webhook_url"} {
		text, _ := fields[key].(string)
		if at, err := url.Parse(text); err == nil && at.Host != "" {
			return " to " + at.Host
		}
	}
	return ""
}

// routeConfig is a route as the configuration writes it.
type routeConfig struct {
	Receiver            string                   `yaml:"receiver"`
	GroupBy             []string                 `yaml:"group_by"`
	Match               map[string]string        `yaml:"match"`
	MatchRE             alertconfig.MatchRegexps `yaml:"match_re"`
	Matchers            alertconfig.Matchers     `yaml:"matchers"`
	Continue            bool                     `yaml:"continue"`
	Routes              []*routeConfig           `yaml:"routes"`
	GroupWait           *model.Duration          `yaml:"group_wait"`
	GroupInterval       *model.Duration          `yaml:"group_interval"`
	RepeatInterval      *model.Duration          `yaml:"repeat_interval"`
	MuteTimeIntervals   []string                 `yaml:"mute_time_intervals"`
	ActiveTimeIntervals []string                 `yaml:"active_time_intervals"`
}
