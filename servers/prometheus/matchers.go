package prometheus

import (
	"log/slog"
	"strings"
	"sync"

	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/featurecontrol"
	"github.com/prometheus/alertmanager/matcher/compat"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// readMatchersAsAlertmanager sets how matchers are read to what Alertmanager's
// own program does: UTF-8, with the older syntax where that alone fits. Its
// package is set for the whole process.
var readMatchersAsAlertmanager = sync.OnceFunc(func() {
	compat.InitFromFlags(slog.New(slog.DiscardHandler), featurecontrol.NoopFlags{})
})

// parseMatchers reads matchers as a model writes them, in Alertmanager's syntax,
// with or without braces.
func parseMatchers(text string) (labels.Matchers, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	readMatchersAsAlertmanager()
	ms, err := compat.Matchers(strings.TrimSpace(text), "argument")
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Invalid, `matchers cannot be read: %w; write them such as severity="critical", team=~"shop|core", with = != =~ or !~ and the value in double quotes`, err)
	}
	return ms, nil
}

// silenceMatchers are the matchers of a silence, as the API writes them.
func silenceMatchers(from models.Matchers) (labels.Matchers, error) {
	var out labels.Matchers
	for _, m := range from {
		if m == nil || m.Name == nil || m.Value == nil {
			continue
		}
		equal := m.IsEqual == nil || *m.IsEqual // absent before version 0.22
		kind := labels.MatchEqual
		switch regex := m.IsRegex != nil && *m.IsRegex; {
		case regex && equal:
			kind = labels.MatchRegexp
		case regex:
			kind = labels.MatchNotRegexp
		case !equal:
			kind = labels.MatchNotEqual
		}
		parsed, err := labels.NewMatcher(kind, *m.Name, *m.Value)
		if err != nil {
			return nil, err
		}
		out = append(out, parsed)
	}
	return out, nil
}

// apiMatchers writes matchers as the API does.
func apiMatchers(from labels.Matchers) models.Matchers {
	var out models.Matchers
	for _, m := range from {
		out = append(out, &models.Matcher{
			Name: &m.Name, Value: &m.Value,
			IsRegex: new(m.Type == labels.MatchRegexp || m.Type == labels.MatchNotRegexp),
			IsEqual: new(m.Type == labels.MatchEqual || m.Type == labels.MatchRegexp),
		})
	}
	return out
}

// matchersText writes matchers without their braces.
func matchersText(ms labels.Matchers) string {
	parts := make([]string, len(ms))
	for i, m := range ms {
		parts[i] = m.String()
	}
	return strings.Join(parts, ", ")
}

// matching returns the alerts that all of ms match.
func matching(alerts []heldAlert, ms labels.Matchers) []heldAlert {
	var out []heldAlert
	for _, a := range alerts {
		if ms.Matches(a.labels) {
			out = append(out, a)
		}
	}
	return out
}

// whyNone says which matcher leaves no alert, and what values come near.
func whyNone(alerts []heldAlert, ms labels.Matchers) string {
	if len(alerts) == 0 {
		return "Alertmanager holds no alert"
	}
	for _, m := range ms {
		if len(matching(alerts, labels.Matchers{m})) > 0 {
			continue
		}
		var values []string
		seen := map[model.LabelValue]bool{}
		for _, a := range alerts {
			if v, ok := a.labels[model.LabelName(m.Name)]; ok && !seen[v] {
				seen[v] = true
				values = append(values, string(v))
			}
		}
		switch near := mcpkit.Nearest(m.Value, values); {
		case len(values) == 0:
			return "no alert held now has a label " + m.Name
		case len(near) > 0:
			return "no alert matches " + m.String() + "; the nearest values are " + strings.Join(near, ", ")
		default:
			return "no alert matches " + m.String() + "; values of " + m.Name + " are " + fewOf(values, 5)
		}
	}
	return "each matcher matches some alert, but none matches all of them"
}
