package agenttrigger

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// The bounds of what is taken from Alertmanager.
const (
	mostBody   = 1 << 20 // bytes
	mostAlerts = 500
)

// Message is what Alertmanager's webhook sends, in version 4, as far as triggers
// need it. What newer ones add is let be.
type Message struct {
	Version         string  `json:"version"`
	TruncatedAlerts int     `json:"truncatedAlerts"`
	Alerts          []Alert `json:"alerts"`
}

// Alert is one alert of a message. It is what a filter sees, under the names of
// the JSON.
type Alert struct {
	Status       string            `json:"status"       cel:"status"` // firing or resolved
	Labels       map[string]string `json:"labels"       cel:"labels"`
	Annotations  map[string]string `json:"annotations"  cel:"annotations"`
	StartsAt     time.Time         `json:"startsAt"     cel:"startsAt"`
	EndsAt       time.Time         `json:"endsAt,omitzero" cel:"endsAt"`
	GeneratorURL string            `json:"generatorURL,omitempty" cel:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"  cel:"fingerprint"`
}

const (
	firing   = "firing"
	resolved = "resolved"
)

// errTooMany is returned for more alerts than one message may have.
var errTooMany = fmt.Errorf("more than %d alerts in one notification; set max_alerts in Alertmanager's webhook_configs, or group alerts more finely", mostAlerts)

// parse reads a message.
func parse(body []byte) (Message, error) {
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return Message{}, fmt.Errorf("this is no notification of Alertmanager's webhook: %w", err)
	}
	if m.Version != "4" {
		return Message{}, fmt.Errorf("version %q of Alertmanager's webhook is not known here; send version 4", m.Version)
	}
	if len(m.Alerts) == 0 {
		return Message{}, errors.New("there are no alerts in this notification")
	}
	if len(m.Alerts) > mostAlerts {
		return Message{}, errTooMany
	}
	m.TruncatedAlerts = max(m.TruncatedAlerts, 0)
	for i := range m.Alerts {
		if err := m.Alerts[i].check(); err != nil {
			return Message{}, fmt.Errorf("alerts[%d]: %w", i, err)
		}
	}
	return m, nil
}

// check refuses what is no alert and drops what is no one's business.
func (a *Alert) check() error {
	if a.Status != firing && a.Status != resolved {
		return fmt.Errorf("status is %q, and neither firing nor resolved", a.Status)
	}
	if len(a.Labels) == 0 {
		return errors.New("it has no labels")
	}
	if u, err := url.Parse(a.GeneratorURL); err != nil {
		a.GeneratorURL = ""
	} else if u.User != nil {
		u.User = nil // whoever reads the run has no need of Prometheus's password
		a.GeneratorURL = u.String()
	}
	return nil
}
