package monitoring

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Notification is what a receiver was sent.
type Notification struct {
	Receiver      string    `json:"receiver"` // the last part of the webhook's path
	Time          time.Time `json:"time"`
	Authorization string    `json:"authorization"` // the header as it came
	Message       Message   `json:"message"`
}

// Message is Alertmanager's webhook message.
type Message struct {
	Receiver    string            `json:"receiver"`
	Status      string            `json:"status"` // firing or resolved
	GroupKey    string            `json:"groupKey"`
	GroupLabels map[string]string `json:"groupLabels"`
	Alerts      []Alert           `json:"alerts"`
}

// Alert is one alert of a message.
type Alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// Set sets a gauge of job exporter, new or old. Labels are names and values in
// turn. It shows with the next scrape, within a second.
func (s *Stack) Set(ctx context.Context, metric string, value float64, labels ...string) error {
	return s.gauge(ctx, http.MethodPut, metric, strconv.FormatFloat(value, 'g', -1, 64), labels)
}

// Unset takes a gauge away.
func (s *Stack) Unset(ctx context.Context, metric string, labels ...string) error {
	return s.gauge(ctx, http.MethodDelete, metric, "", labels)
}

func (s *Stack) gauge(ctx context.Context, method, metric, value string, labels []string) error {
	set := map[string]string{}
	for i := 0; i+1 < len(labels); i += 2 {
		set[labels[i]] = labels[i+1]
	}
	body, err := json.Marshal(map[string]any{"name": metric, "labels": set, "value": value})
	if err != nil {
		return err
	}
	return s.do(ctx, method, s.Control+"/gauges", body, nil)
}

// SetRules replaces the rules that [Options.Rules] began with, a rule file in
// YAML; the default ones stay. Rules that Prometheus refuses are an error that
// says why.
func (s *Stack) SetRules(ctx context.Context, yaml string) error {
	if err := os.WriteFile(s.path(ownRulesFile), []byte(yaml), 0o600); err != nil {
		return err
	}
	log := s.path("log", "prometheus.log")
	before, err := os.ReadFile(log)
	if err != nil {
		return err
	}
	if err := s.do(ctx, http.MethodPost, s.Prometheus+"/-/reload", nil, nil); err != nil {
		after, unread := os.ReadFile(log) // the answer leaves out why
		if unread != nil {
			return errors.Join(err, unread)
		}
		return fmt.Errorf("%w: %s", err, bytes.TrimSpace(after[len(before):]))
	}
	return nil
}

// SetAlertmanagerConfig replaces Alertmanager's configuration, in YAML; an
// empty one stands for the default. ${SINK}/NAME is the URL that a webhook
// needs for its notifications to be kept, under that name.
func (s *Stack) SetAlertmanagerConfig(ctx context.Context, yaml string) error {
	if err := os.WriteFile(s.path(alertmanagerFile), []byte(s.alertmanagerConfig(yaml)), 0o600); err != nil {
		return err
	}
	return s.do(ctx, http.MethodPost, s.Alertmanager+"/-/reload", nil, nil)
}

// Notifications returns all that were sent since the start, oldest first.
func (s *Stack) Notifications(ctx context.Context) (sent []Notification, err error) {
	err = s.Get(ctx, s.Control+"/notifications", &sent)
	return sent, err
}

// Get reads JSON of Prometheus or Alertmanager into out, which may be nil.
func (s *Stack) Get(ctx context.Context, url string, out any) error {
	return s.do(ctx, http.MethodGet, url, nil, out)
}

func (s *Stack) do(ctx context.Context, method, url string, body []byte, out any) error {
	client, err := s.client()
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if s.User != "" {
		req.SetBasicAuth(s.User, s.Password)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, strings.TrimSpace(string(answer)))
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(answer, out); err != nil {
		return fmt.Errorf("%s %s: %w", method, url, err)
	}
	return nil
}

// client trusts what the stack shows.
func (s *Stack) client() (*http.Client, error) {
	transport := &http.Transport{}
	if s.CAFile != "" {
		ca, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, err
		}
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	return &http.Client{Transport: transport}, nil
}
