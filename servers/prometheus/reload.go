package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/toolcrib/toolcrib/mcpkit"
	"go.yaml.in/yaml/v2"
)

var reload = mcpkit.Tool{
	Name:        "prometheus_reload",
	Title:       "Reload Prometheus's configuration",
	Description: "Makes Prometheus read its configuration and rule files again, and says what changed or why it refused. The files must be in place already; there is no dry run.",
	Idempotent:  true,
}

type ReloadIn struct{}

type ReloadOut struct {
	Result  string   `json:"result" jsonschema:"whether the new configuration was accepted, and when"`
	Changed []string `json:"changed,omitempty" jsonschema:"parts of the configuration and rules that differ from before"`
	mcpkit.Left
}

// loaded is what Prometheus runs with.
type loaded struct {
	file    string // of the configuration
	ok      bool   // the last reload was accepted
	at      time.Time
	parts   map[string]string // of the configuration, as YAML by name
	rules   map[string]string // by group and name
	version string            // changes with every reload
}

func (b *Backend) planReload(ctx context.Context, _ ReloadIn) (mcpkit.Plan, error) {
	now, err := b.loaded(ctx)
	if err != nil {
		return mcpkit.Plan{}, err
	}
	state := "the last reload was accepted, at " + now.at.UTC().Format(time.RFC3339)
	if !now.ok {
		state = "the last reload FAILED: Prometheus runs with what it had at " + now.at.UTC().Format(time.RFC3339) + ", and files that are broken still will be refused again"
	}
	return mcpkit.Plan{
		Target: "configuration of Prometheus, " + now.file,
		Diff:   "~ read again: the configuration file and every rule file it names",
		Notes:  []string{"Prometheus has no dry run: what the files say shows after the reload. A configuration file it cannot read changes nothing; where a rule file alone is broken, the old rules stay and the rest counts"},
		Now:    []string{state, counted(len(now.rules), "rule") + " loaded"},
		Seen:   []string{now.version},
		State:  now,
	}, nil
}

// loaded reads what Prometheus runs with. A Prometheus that would refuse to
// reload is an error that says what allows it.
func (b *Backend) loaded(ctx context.Context) (*loaded, error) {
	c, err := b.prometheus()
	if err != nil {
		return nil, err
	}
	l := &loaded{}
	return l, mcpkit.Together(ctx, 4, func(ctx context.Context) error {
		flags, err := c.Flags(ctx)
		if err != nil {
			return translate(err, "tell its flags")
		}
		if flags["web.enable-lifecycle"] == "false" {
			return noLifecycle(nil)
		}
		l.file = cmp.Or(flags["config.file"], "its configuration file")
		return nil
	}, func(ctx context.Context) error {
		info, err := c.Runtimeinfo(ctx)
		if err != nil {
			return translate(err, "tell its state")
		}
		l.ok, l.at = info.ReloadConfigSuccess, info.LastConfigTime
		l.version = fmt.Sprint(l.ok, info.StartTime.UnixNano(), l.at.UnixNano())
		return nil
	}, func(ctx context.Context) (err error) {
		l.parts, err = configParts(ctx, c)
		return err
	}, func(ctx context.Context) (err error) {
		l.rules, err = ruleTexts(ctx, c)
		return err
	})
}

func noLifecycle(cause error) error {
	return mcpkit.Wrap(mcpkit.Denied, cause, "this Prometheus does not reload on request: its lifecycle API is not enabled. A person must start it with --web.enable-lifecycle, or send its process SIGHUP")
}

// configParts cuts the configuration into parts that can be told apart: each
// scrape job, and each other section.
func configParts(ctx context.Context, c *client) (map[string]string, error) {
	res, err := c.Config(ctx)
	if err != nil {
		return nil, translate(err, "tell its configuration")
	}
	var sections map[string]any
	if err := yaml.Unmarshal([]byte(res.YAML), &sections); err != nil {
		return nil, fmt.Errorf("read Prometheus's configuration: %w", err)
	}
	parts := map[string]string{}
	for name, section := range sections {
		jobs, isJobs := section.([]any)
		if name != "scrape_configs" || !isJobs {
			parts[name] = fmt.Sprint(section)
			continue
		}
		for _, job := range jobs {
			fields, _ := job.(map[any]any)
			parts[fmt.Sprintf("scrape job %v", fields["job_name"])] = fmt.Sprint(job)
		}
	}
	return parts, nil
}

func ruleTexts(ctx context.Context, c *client) (map[string]string, error) {
	all, err := c.Rules(ctx, nil)
	if err != nil {
		return nil, translate(err, "list the rules")
	}
	texts := map[string]string{}
	for _, g := range all.Groups {
		for _, r := range g.Rules {
			switch r := r.(type) {
			case promv1.AlertingRule:
				texts["alert "+r.Name+" of group "+g.Name] += fmt.Sprintln(r.Query, r.Duration, r.Labels, r.Annotations)
			case promv1.RecordingRule:
				texts["record "+r.Name+" of group "+g.Name] += fmt.Sprintln(r.Query, r.Labels)
			}
		}
	}
	return texts, nil
}

func (b *Backend) reload(ctx context.Context, _ ReloadIn, p mcpkit.Plan) (ReloadOut, error) {
	before := p.State.(*loaded)
	c, err := b.prometheus()
	if err != nil {
		return ReloadOut{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.raw.URL("/-/reload", nil).String(), nil)
	if err != nil {
		return ReloadOut{}, err
	}
	resp, body, err := c.raw.Do(ctx, req)
	if err != nil {
		return ReloadOut{}, translate(err, "reload its configuration")
	}
	if resp.StatusCode != http.StatusOK {
		return ReloadOut{}, refusedReload(resp.StatusCode, strings.TrimSpace(string(body)))
	}
	after, err := b.loaded(ctx)
	if err != nil {
		return ReloadOut{}, mcpkit.Errorf(mcpkit.Unavailable, "Prometheus accepted the reload; what changed cannot be told: %w", err)
	}
	out := ReloadOut{Result: "accepted at " + after.at.UTC().Format(time.RFC3339)}
	changed := slices.Concat(differences(before.parts, after.parts), differences(before.rules, after.rules))
	if len(changed) == 0 {
		out.Result += "; nothing that Prometheus shows of it differs from before, which leaves out secrets"
	}
	lines, cut := mcpkit.FirstN(changed, 0, 100)
	if out.Changed = lines; cut {
		out.Truncated, out.LeftOut = true, fmt.Sprintf("%d more changes", len(changed)-len(lines))
	}
	return out, nil
}

// refusedReload is what Prometheus said instead of reloading.
func refusedReload(code int, said string) error {
	cause := errors.New(said)
	switch code {
	case http.StatusUnauthorized:
		return mcpkit.Wrap(mcpkit.Denied, cause, "Prometheus refuses this server's credentials for a reload. A person must give it others with --prometheus-http-config")
	case http.StatusForbidden:
		if strings.Contains(said, "ifecycle") {
			return noLifecycle(cause)
		}
		return mcpkit.Wrap(mcpkit.Denied, cause, "Prometheus, or a proxy before it, forbids this server to reload it: %s", said)
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return mcpkit.Wrap(mcpkit.NotFound, cause, "this backend cannot be reloaded over HTTP (%d): Prometheus needs --web.enable-lifecycle; Thanos and Mimir reload by other means", code)
	case http.StatusInternalServerError:
		if strings.Contains(said, "one or more errors occurred") {
			return mcpkit.Wrap(mcpkit.Invalid, cause, "Prometheus refused a part of the new configuration: %s. Which part, its log alone says; often a rule file, and then the old rules stay while the rest of the new configuration counts", said)
		}
		return mcpkit.Wrap(mcpkit.Invalid, cause, "Prometheus refused the new configuration and goes on with the old one: %s", said)
	}
	return mcpkit.Wrap(mcpkit.Unavailable, cause, "Prometheus did not reload (%d): %s", code, said)
}

// differences lists the parts that came, went or changed.
func differences(before, after map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(after)) {
		switch old, was := before[name]; {
		case !was:
			out = append(out, "+ "+name)
		case old != after[name]:
			out = append(out, "~ "+name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, is := after[name]; !is {
			out = append(out, "- "+name)
		}
	}
	return out
}
