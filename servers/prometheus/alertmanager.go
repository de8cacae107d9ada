package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-openapi/runtime"
	alertmanager "github.com/prometheus/alertmanager/api/v2/client"
	"github.com/prometheus/alertmanager/api/v2/client/alert"
	"github.com/prometheus/alertmanager/api/v2/client/alertgroup"
	"github.com/prometheus/alertmanager/api/v2/client/receiver"
	"github.com/prometheus/alertmanager/api/v2/models"
	"github.com/prometheus/alertmanager/pkg/labels"
	"github.com/prometheus/common/model"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// heldAlert is an alert as Alertmanager holds it. It notifies unless it is
// silenced, inhibited, or muted for the receiver by a time interval.
type heldAlert struct {
	fingerprint string
	labels      model.LabelSet
	annotations models.LabelSet
	starts      time.Time
	receivers   []string
	silencedBy  []string            // ids
	inhibitedBy []string            // fingerprints
	mutedBy     map[string][]string // time intervals by receiver, from version 0.28 on
}

func (a heldAlert) name() string { return string(a.labels[model.AlertNameLabel]) }

func (a heldAlert) String() string { return labelText(a.labels) }

// suppressed reports whether nobody is notified of it.
func (a heldAlert) suppressed() bool {
	return len(a.silencedBy)+len(a.inhibitedBy) > 0 || len(a.receivers) > 0 && len(a.quiet()) == len(a.receivers)
}

// quiet lists the receivers that a time interval mutes.
func (a heldAlert) quiet() []string {
	return slices.DeleteFunc(slices.Clone(a.receivers), func(r string) bool { return len(a.mutedBy[r]) == 0 })
}

// openAlertmanager is the way to Alertmanager. Where none is configured, the
// error names the ones Prometheus sends to; none of them is ever reached.
func (b *Backend) openAlertmanager(ctx context.Context) (*alertmanager.AlertmanagerAPI, error) {
	if b.cfg.Alertmanager.URL != "" {
		return b.alertmanager()
	}
	_, err := b.alertmanager()
	c, failed := b.prometheus()
	if failed != nil {
		return nil, err
	}
	known, failed := c.AlertManagers(ctx)
	if failed != nil || len(known.Active) == 0 {
		return nil, err
	}
	var urls []string
	for _, a := range known.Active {
		if at, bad := url.Parse(a.URL); bad == nil {
			base, _, _ := strings.Cut(at.Path, "/api/")
			urls = append(urls, (&url.URL{Scheme: at.Scheme, Host: at.Host, Path: base}).String())
		}
	}
	slices.Sort(urls)
	return nil, mcpkit.Errorf(mcpkit.Unavailable, "no Alertmanager is configured. Prometheus sends its alerts to %s: a person must start this server with --alertmanager-url set to it", strings.Join(slices.Compact(urls), ", "))
}

// heldAlerts returns the alerts that Alertmanager holds and all of matchers
// match, by fingerprint.
func (b *Backend) heldAlerts(ctx context.Context, matchers labels.Matchers) ([]heldAlert, error) {
	c, err := b.openAlertmanager(ctx)
	if err != nil {
		return nil, err
	}
	var filter []string
	for _, m := range matchers {
		filter = append(filter, m.String())
	}
	var held []heldAlert
	var groups models.AlertGroups
	err = mcpkit.Together(ctx, 2, func(ctx context.Context) error {
		res, err := c.Alert.GetAlerts(alert.NewGetAlertsParamsWithContext(ctx).WithFilter(filter))
		if err != nil {
			return translateAlertmanager(err, "list the alerts")
		}
		for _, a := range res.Payload {
			held = append(held, hold(a))
		}
		return nil
	}, func(ctx context.Context) error { // which receivers a time interval mutes is said of groups alone
		res, err := c.Alertgroup.GetAlertGroups(alertgroup.NewGetAlertGroupsParamsWithContext(ctx).WithFilter(filter))
		if err != nil {
			return translateAlertmanager(err, "list the alert groups")
		}
		groups = res.Payload
		return nil
	})
	if err != nil {
		return nil, err
	}
	addMutes(held, groups)
	return held, nil
}

func hold(a *models.GettableAlert) heldAlert {
	h := heldAlert{labels: model.LabelSet{}, annotations: a.Annotations, mutedBy: map[string][]string{}}
	for name, value := range a.Labels {
		h.labels[model.LabelName(name)] = model.LabelValue(value)
	}
	if a.Fingerprint != nil {
		h.fingerprint = *a.Fingerprint
	}
	if a.StartsAt != nil {
		h.starts = time.Time(*a.StartsAt)
	}
	for _, r := range a.Receivers {
		if r != nil && r.Name != nil {
			h.receivers = append(h.receivers, *r.Name)
		}
	}
	slices.Sort(h.receivers)
	h.receivers = slices.Compact(h.receivers)
	if a.Status != nil {
		h.silencedBy, h.inhibitedBy = a.Status.SilencedBy, a.Status.InhibitedBy
	}
	return h
}

func addMutes(held []heldAlert, groups models.AlertGroups) {
	byFingerprint := map[string]heldAlert{}
	for _, h := range held {
		byFingerprint[h.fingerprint] = h
	}
	for _, g := range groups {
		for _, a := range g.Alerts {
			if a.Fingerprint == nil || a.Status == nil || g.Receiver == nil || g.Receiver.Name == nil || len(a.Status.MutedBy) == 0 {
				continue
			}
			if h, ok := byFingerprint[*a.Fingerprint]; ok {
				h.mutedBy[*g.Receiver.Name] = a.Status.MutedBy
			}
		}
	}
}

// labelText writes an alert's labels as PromQL would, its name in the place of
// the metric's.
func labelText(l model.LabelSet) string {
	m := model.Metric{}
	for name, value := range l {
		if name == model.AlertNameLabel {
			name = model.MetricNameLabel
		}
		m[name] = value
	}
	return selector(m)
}

// translateAlertmanager turns what Alertmanager, or the way to it, said into an
// error a model can act on.
func translateAlertmanager(err error, doing string) error {
	var known *mcpkit.Error
	var answered interface{ IsCode(int) bool }
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known) && known.Kind == mcpkit.TooLarge:
		return mcpkit.Wrap(mcpkit.TooLarge, err, "Alertmanager has more to say than can be read when asked to %s; alertmanager_alerts with matchers asks for less", doing)
	case errors.As(err, &known), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, context.DeadlineExceeded):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "Alertmanager did not %s in time; try again", doing)
	case errors.As(err, &answered):
		return alertmanagerAnswer(err, answered.IsCode, doing)
	case strings.Contains(err.Error(), "is not supported by the"): // what the client says of a body that is not JSON
		return mcpkit.Wrap(mcpkit.Unavailable, err, "cannot %s: what answers at --alertmanager-url is not Alertmanager's API v2. A person must check the URL", doing)
	}
	return unreachable(err, doing, "Alertmanager")
}

// alertmanagerAnswer classes an answer that is not what was asked for.
func alertmanagerAnswer(err error, is func(int) bool, doing string) error {
	said := ""
	var payload interface{ GetPayload() string }
	if errors.As(err, &payload) {
		said = strings.TrimSpace(payload.GetPayload())
	}
	switch {
	case is(http.StatusUnauthorized), is(http.StatusForbidden):
		return mcpkit.Wrap(mcpkit.Denied, err, "Alertmanager refuses this server's credentials when asked to %s. A person must give it others with --alertmanager-http-config", doing)
	case is(http.StatusNotFound):
		return mcpkit.Wrap(mcpkit.NotFound, err, "there is no Alertmanager API v2 at --alertmanager-url, so it cannot %s; Mimir serves it under the path /alertmanager", doing)
	case is(http.StatusBadRequest), is(http.StatusUnprocessableEntity):
		return mcpkit.Wrap(mcpkit.Invalid, err, "Alertmanager cannot %s: %s", doing, cmp.Or(said, "it does not understand the request"))
	}
	if said == "" {
		if other, ok := errors.AsType[*runtime.APIError](err); ok {
			said = fmt.Sprintf("it answers %d %s", other.Code, http.StatusText(other.Code))
		}
	}
	return mcpkit.Wrap(mcpkit.Unavailable, err, "Alertmanager could not %s: %s; try again in a moment", doing, cmp.Or(said, "it failed"))
}

// receiverNames lists every receiver of the configuration.
func receiverNames(ctx context.Context, c *alertmanager.AlertmanagerAPI) ([]string, error) {
	res, err := c.Receiver.GetReceivers(receiver.NewGetReceiversParamsWithContext(ctx))
	if err != nil {
		return nil, translateAlertmanager(err, "list the receivers")
	}
	var names []string
	for _, r := range res.Payload {
		if r != nil && r.Name != nil {
			names = append(names, *r.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// counted is a number with its noun: 1 alert, 2 alerts.
func counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// fewOf lists the first few names and says how many more there are.
func fewOf(names []string, few int) string {
	text := strings.Join(names[:min(few, len(names))], ", ")
	if over := len(names) - few; over > 0 {
		text += fmt.Sprintf(" and %d more", over)
	}
	return text
}
