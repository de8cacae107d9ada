package agenttrigger

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// The bounds of what a run is told of its alerts, in bytes. The API server
// admits 65536 characters.
const (
	mostData  = 60000
	mostValue = 2048 // of one label or annotation
)

// told is what a run is told of its alerts.
type told struct {
	Alerts  []json.RawMessage `json:"alerts"`
	LeftOut int               `json:"leftOut,omitempty"` // alerts that there was no room for
}

// data is the alerts as JSON, as many of them as there is room for. truncated
// is how many Alertmanager has left out.
func data(alerts []Alert, truncated int) (string, error) {
	out, size := told{LeftOut: truncated + len(alerts)}, 64
	for _, a := range alerts {
		text, err := encode(a.bounded())
		if err != nil {
			return "", err
		}
		if size += len(text) + 1; size > mostData {
			break
		}
		out.Alerts = append(out.Alerts, text)
		out.LeftOut--
	}
	if len(out.Alerts) == 0 { // one with hundreds of labels: its name has to do
		text, err := encode(map[string]any{"status": alerts[0].Status, "labels": map[string]string{"alertname": cut(alerts[0].Labels["alertname"])}, "fingerprint": cut(alerts[0].Fingerprint)})
		if err != nil {
			return "", err
		}
		out.Alerts = append(out.Alerts, text)
		out.LeftOut--
	}
	text, err := encode(out)
	return string(text), err
}

// encode leaves < and > as they are: labels of thresholds have them.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("write alerts as JSON: %w", err)
	}
	return bytes.TrimSpace(b.Bytes()), nil
}

// bounded is the alert with no value that is very long.
func (a Alert) bounded() Alert {
	a.Labels, a.Annotations = boundedValues(a.Labels), boundedValues(a.Annotations)
	a.GeneratorURL, a.Fingerprint = cut(a.GeneratorURL), cut(a.Fingerprint)
	return a
}

func boundedValues(values map[string]string) map[string]string {
	out := make(map[string]string, len(values))
	for name, value := range values {
		out[cut(name)] = cut(value)
	}
	return out
}

func cut(text string) string {
	if len(text) <= mostValue {
		return text
	}
	end := mostValue
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "… (cut)"
}
