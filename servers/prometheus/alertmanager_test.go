package prometheus

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-openapi/strfmt"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/testbed/monitoring"
)

// raise makes Alertmanager hold alerts until the test ends. An alert is its
// labels, names and values in turn. Alerts with the label area inhibit and are
// inhibited only where that is the same, so each test has areas of its own.
func raise(t *testing.T, alerts ...[]string) {
	t.Helper()
	sendAlerts(t.Context(), t, whole(), time.Now().Add(time.Hour), alerts)
	t.Cleanup(func() { sendAlerts(context.Background(), t, whole(), time.Now().Add(-time.Second), alerts) })
	within(t, "Alertmanager holds the alerts, in groups", func() bool {
		for _, a := range alerts {
			if len(held(t, matchersOf(a))) != 1 || !grouped(t, matchersOf(a)) {
				return false
			}
		}
		return true
	})
}

func sendAlerts(ctx context.Context, t *testing.T, to *Backend, end time.Time, alerts [][]string) {
	t.Helper()
	c, err := to.alertmanager()
	require.NoError(t, err)
	var all models.PostableAlerts
	for _, a := range alerts {
		l := models.LabelSet{}
		for i := 0; i+1 < len(a); i += 2 {
			l[a[i]] = a[i+1]
		}
		all = append(all, &models.PostableAlert{
			Alert: models.Alert{Labels: l}, EndsAt: strfmt.DateTime(end), StartsAt: strfmt.DateTime(end.Add(-2 * time.Hour)),
			Annotations: models.LabelSet{"summary": "about " + l["alertname"]},
		})
	}
	_, err = c.Alert.PostAlerts(alert.NewPostAlertsParamsWithContext(ctx).WithAlerts(all))
	require.NoError(t, err)
}

func matchersOf(labels []string) string {
	var parts []string
	for i := 0; i+1 < len(labels); i += 2 {
		parts = append(parts, labels[i]+`="`+labels[i+1]+`"`)
	}
	return strings.Join(parts, ",")
}

// apiAlert is an alert as Alertmanager's API shows it, read without our client.
type apiAlert struct {
	Labels    map[string]string
	Receivers []struct{ Name string }
	Status    struct {
		State                            string
		SilencedBy, InhibitedBy, MutedBy []string
	}
}

func (a apiAlert) receivers() string {
	var names []string
	for _, r := range a.Receivers {
		names = append(names, r.Name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// held asks Alertmanager itself for alerts.
func held(t *testing.T, matchers string) (out []apiAlert) {
	t.Helper()
	require.NoError(t, stack().Get(t.Context(), stack().Alertmanager+"/api/v2/alerts?"+filters(matchers), &out))
	return out
}

func filters(matchers string) string {
	v := url.Values{}
	for _, m := range strings.Split(matchers, ",") {
		if m != "" {
			v.Add("filter", m)
		}
	}
	return v.Encode()
}

func grouped(t *testing.T, matchers string) bool {
	t.Helper()
	var groups []json.RawMessage
	require.NoError(t, stack().Get(t.Context(), stack().Alertmanager+"/api/v2/alerts/groups?"+filters(matchers), &groups))
	return len(groups) > 0
}

// told reports whether a receiver was really sent a firing alert.
func told(t *testing.T, receiver, name string) bool {
	t.Helper()
	sent, err := stack().Notifications(t.Context())
	require.NoError(t, err)
	return slices.ContainsFunc(sent, func(n monitoring.Notification) bool {
		return n.Receiver == receiver && slices.ContainsFunc(n.Message.Alerts, func(a monitoring.Alert) bool {
			return a.Status == "firing" && a.Labels["alertname"] == name
		})
	})
}

// at is a backend whose Alertmanager is elsewhere.
func at(u string) *Backend {
	return New(Config{Prometheus: Endpoint{URL: stack().Prometheus}, Alertmanager: Endpoint{URL: u}})
}

// readsOfAlertmanager is a real question for each read tool.
var readsOfAlertmanager = map[string]map[string]any{
	"alertmanager_alerts":        nil,
	"alertmanager_silences":      nil,
	"alertmanager_explain_route": {"labels": map[string]any{"alertname": "CoreDown"}},
}

func TestAlertmanagerThatDoesNotAnswer(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	for tool, args := range readsOfAlertmanager {
		requireRefused(t, serve(t, at(gone.URL), mcpkit.AccessRead, nil), tool, args, "Alertmanager cannot be reached (")
		requireRefused(t, serve(t, at(stack().Prometheus), mcpkit.AccessRead, nil), tool, args, "not_found: there is no Alertmanager API v2 at --alertmanager-url")
		requireRefused(t, serve(t, at(stack().Control), mcpkit.AccessRead, nil), tool, args, "lertmanager")
		requireRefused(t, serve(t, at(""), mcpkit.AccessRead, nil), tool, args,
			"unavailable: no Alertmanager is configured. Prometheus sends its alerts to "+stack().Alertmanager+": a person must start this server with --alertmanager-url set to it")
		requireRefused(t, serve(t, New(Config{Prometheus: Endpoint{URL: gone.URL}}), mcpkit.AccessRead, nil), tool, args,
			"unavailable: no Alertmanager is configured; start the server with --alertmanager-url")
	}
}

func TestAlertmanagerUnderAPathAndPrometheusCredentials(t *testing.T) {
	target, err := url.Parse(stack().Alertmanager)
	require.NoError(t, err)
	mimir := httptest.NewServer(http.StripPrefix("/alertmanager", httputil.NewSingleHostReverseProxy(target)))
	defer mimir.Close()
	for tool, args := range readsOfAlertmanager {
		a := serve(t, at(mimir.URL+"/alertmanager"), mcpkit.AccessRead, nil).Call(tool, args)
		require.False(t, a.IsError, a.Text)
		requireRefused(t, serve(t, at(mimir.URL), mcpkit.AccessRead, nil), tool, args, "Mimir serves it under the path /alertmanager")
	}
}

func TestAlertmanagerThatWantsAPassword(t *testing.T) {
	t.Parallel()
	s, err := monitoring.Start(t.Context(), monitoring.Options{Protected: true})
	require.NoError(t, err)
	defer s.Stop()
	config := t.TempDir() + "/http.yaml"
	for password, denied := range map[string]bool{s.Password: false, "wrong-" + s.Password: true} {
		writeFile(t, config, "basic_auth: {username: "+s.User+", password: "+password+"}\ntls_config: {ca_file: "+s.CAFile+"}\n")
		e := func(u string) Endpoint { return Endpoint{URL: u, HTTPConfig: config} }
		b := New(Config{Prometheus: e(s.Prometheus), Alertmanager: e(s.Alertmanager)})
		p := &person{Says: "decline"}
		for tool, args := range readsOfAlertmanager {
			a := serve(t, b, mcpkit.AccessRead, nil).Call(tool, args)
			require.Equal(t, denied, a.IsError, a.Text)
			if denied {
				require.Contains(t, a.Text, "denied: Alertmanager refuses this server's credentials")
				require.NotContains(t, a.Text, s.Password)
			}
		}
		named, err := url.Parse(s.Alertmanager)
		require.NoError(t, err)
		named.User = url.UserPassword(s.User, password)
		writeFile(t, config, "tls_config: {ca_file: "+s.CAFile+"}\n")
		_, err = New(Config{Alertmanager: e(named.String())}).heldSilences(t.Context())
		require.Equal(t, denied, err != nil, "credentials in the URL: %v", err)
		writeFile(t, config, "basic_auth: {username: "+s.User+", password: "+password+"}\ntls_config: {ca_file: "+s.CAFile+"}\n")
		silence := map[string]any{"matchers": `alertname="CoreDown"`, "end": "1h", "author": "me", "comment": "why"}
		for tool, args := range map[string]map[string]any{"alertmanager_create_silence": silence, "alertmanager_expire_silence": {"id": "x"}, "prometheus_reload": {}} {
			a := writing(t, b, p).Call(tool, args)
			require.True(t, a.IsError, a.Text)
			require.Equal(t, denied, strings.Contains(a.Text, "refuses this server's credentials"), a.Text)
		}
	}
}

// Proxies before the real servers are the witness: the read tools read.
func TestAlertmanagerReadsOnlyRead(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	witness := func(to string) string {
		target, err := url.Parse(to)
		require.NoError(t, err)
		proxy := httputil.NewSingleHostReverseProxy(target)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			mu.Lock()
			asked[r.Method]++
			mu.Unlock()
			proxy.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		return server.URL
	}
	s := serve(t, New(Config{Prometheus: Endpoint{URL: witness(stack().Prometheus)}, Alertmanager: Endpoint{URL: witness(stack().Alertmanager)}}), mcpkit.AccessRead, nil)
	for tool, args := range readsOfAlertmanager {
		a := s.Call(tool, args)
		require.False(t, a.IsError, a.Text)
	}
	require.Positive(t, asked[http.MethodGet])
	require.Len(t, asked, 1, asked)
}

func TestAlertmanagerIsAskedNoLongerThanTheCaller(t *testing.T) {
	began, ended := make(chan struct{}, 8), make(chan struct{}, 8)
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	defer stuck.Close()
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-began; cancel() }()
	_, err := at(stuck.URL).alertmanagerAlerts(ctx, AlertmanagerAlertsIn{})
	require.ErrorIs(t, err, context.Canceled)
	<-ended
}

// What Prometheus knows of an alert is told though Alertmanager never answers.
func TestExplainAlertDoesNotWaitForAlertmanager(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-done:
		}
	}))
	defer stuck.Close()
	defer close(done)
	var out ExplainAlertOut
	serve(t, at(stuck.URL), mcpkit.AccessRead, nil).Call("prometheus_explain_alert", map[string]any{"name": "CoreDown"}).Into(t, &out)
	require.Contains(t, out.State[0], "firing: 1 series")
	require.Len(t, out.NotLooked, 1)
	require.Regexp(t, `^what Alertmanager does with it: unavailable: Alertmanager did not list the alert(s| groups) in time; try again$`, out.NotLooked[0])
}

func TestAlertmanagerThatSaysTooMuch(t *testing.T) {
	huge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte("[" + strings.Repeat(`{"labels": {"alertname": "Flood"}},`, 1<<19) + "{}]"))
	}))
	defer huge.Close()
	requireRefused(t, serve(t, at(huge.URL), mcpkit.AccessRead, nil), "alertmanager_alerts", nil, "too_large: Alertmanager has more to say than can be read when asked to list the alert")
}
