package agenttrigger

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// recorded is what a real Alertmanager sent, with one alert that is over
// and one that fires.
func recorded(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/notification.json")
	require.NoError(t, err)
	return text
}

func TestANotificationIsRead(t *testing.T) {
	t.Parallel()
	m, err := parse(recorded(t))
	require.NoError(t, err)
	require.Len(t, m.Alerts, 2)
	require.Equal(t, Alert{
		Status: "firing", Fingerprint: m.Alerts[1].Fingerprint,
		Labels:       map[string]string{"alertname": "PodCrashLooping", "namespace": "shop", "pod": "web-1", "severity": "critical"},
		Annotations:  map[string]string{"summary": "web-1 restarts"},
		StartsAt:     time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC),
		GeneratorURL: "http://prometheus.example/graph?g0.expr=up",
	}, m.Alerts[1])
	require.Len(t, m.Alerts[1].Fingerprint, 16)
	require.Equal(t, "resolved", m.Alerts[0].Status)
	require.Equal(t, time.Date(2026, 11, 21, 19, 5, 0, 0, time.UTC), m.Alerts[0].EndsAt)
}

func TestWhatIsNoNotificationIsRefused(t *testing.T) {
	t.Parallel()
	many := `{"version": "4", "alerts": [` + strings.TrimSuffix(strings.Repeat(`{"status": "firing", "labels": {"a": "b"}},`, mostAlerts+1), ",") + "]}"
	for body, text := range map[string]string{
		`alerts`:           "this is no notification of Alertmanager's webhook",
		`{"version": "3"}`: `version "3" of Alertmanager's webhook is not known here`,
		`{"version": "4"}`: "there are no alerts",
		`{"version": 4}`:   "cannot unmarshal number",
		`{"version":"4","alerts":[{"status":"firing"}]}`:                      "alerts[0]: it has no labels",
		`{"version":"4","alerts":[{"status":"pending","labels":{"a":"b"}}]}`:  `alerts[0]: status is "pending"`,
		`{"version":"4","alerts":[{"status":"firing","labels":{"a":["b"]}}]}`: "cannot unmarshal array",
		many: "more than 500 alerts in one notification; set max_alerts",
	} {
		_, err := parse([]byte(body))
		require.ErrorContains(t, err, text)
	}
	m, err := parse([]byte(`{"version":"4","news":{},"alerts":[{"status":"firing","labels":{"a":"b"},"news":1,"generatorURL":"https://ada:s3cret@prometheus/graph"}]}`))
	require.NoError(t, err)
	require.Equal(t, "https://prometheus/graph", m.Alerts[0].GeneratorURL)
}

func TestWhatARunIsToldIsBounded(t *testing.T) {
	t.Parallel()
	alerts := make([]Alert, mostAlerts)
	for i := range alerts {
		alerts[i] = Alert{Status: firing, Labels: map[string]string{"alertname": "A<B", "n": fmt.Sprint(i)}, Annotations: map[string]string{"text": strings.Repeat("ä", 5000)}}
	}
	text, err := data(alerts, 7)
	require.NoError(t, err)
	require.LessOrEqual(t, len(text), 65536)
	require.Contains(t, text, `"alertname":"A<B"`)
	var out struct {
		Alerts  []Alert
		LeftOut int
	}
	require.NoError(t, json.Unmarshal([]byte(text), &out))
	require.Equal(t, mostAlerts+7, len(out.Alerts)+out.LeftOut)
	require.Greater(t, len(out.Alerts), 10)
	require.True(t, strings.HasSuffix(out.Alerts[0].Annotations["text"], "ä… (cut)"))
}

func FuzzANotification(f *testing.F) {
	f.Add(string(recorded(f)))
	f.Add(`{"version":"4","alerts":[{"status":"firing","labels":{"":"\u0000"},"generatorURL":"::"}]}`)
	f.Add(`{"version":"4","truncatedAlerts":-9223372036854775808,"alerts":[{"status":"resolved","labels":{"a":"\ud800"}}]}`)
	program, err := compile(`alert.labels.?severity.orValue("") == "critical" || alert.startsAt > timestamp("2026-01-01T00:00:00Z")`)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, body string) {
		m, err := parse([]byte(body))
		if err != nil {
			return
		}
		text, err := data(m.Alerts, m.TruncatedAlerts)
		require.NoError(t, err)
		require.True(t, json.Valid([]byte(text)))
		require.LessOrEqual(t, utf8.RuneCountInString(text), 65536)
		for _, a := range m.Alerts {
			for _, dedupe := range [][]string{nil, {"alertname", "namespace"}} {
				k := key(a, dedupe)
				require.NotEmpty(t, k)
				require.True(t, utf8.ValidString(k))
				require.LessOrEqual(t, utf8.RuneCountInString(k), mostKey)
			}
			_, err := passes(t.Context(), program, a)
			require.NoError(t, err)
		}
	})
}
