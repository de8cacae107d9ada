package monitoring

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"os"
	"strings"
	"text/template"

	"github.com/toolcrib/toolcrib/testbed/internal/pki"
)

//go:embed files/prometheus.yml
var prometheusConfig string

//go:embed files/rules.yml
var defaultRules string

//go:embed files/alertmanager.yml
var defaultAlertmanagerConfig string

const (
	alertmanagerFile = "alertmanager.yml"
	defaultRulesFile = "default.yml"
	ownRulesFile     = "rules/own.yml"
)

// The one user of a protected stack, with the password's bcrypt hash.
const (
	user         = "toolcrib"
	password     = "correct-horse"
	passwordHash = "$2a$04$b0.VRJW6x70YWD93f6BqTO0tGGpP9HPUS3pWIhJWjhAlvjlVaaqP."
)

// protect makes certificates and writes the web configuration.
func (s *Stack) protect() error {
	ca, err := pki.NewAuthority("toolcrib-monitoring")
	if err != nil {
		return err
	}
	server, err := ca.Server("monitoring", "127.0.0.1", "localhost")
	if err != nil {
		return err
	}
	if err := ca.WriteTo(s.path("web"), "ca"); err != nil {
		return err
	}
	if err := server.WriteTo(s.path("web"), "server"); err != nil {
		return err
	}
	s.CAFile, s.User, s.Password = s.path("web", "ca.crt"), user, password
	config := fmt.Sprintf("tls_server_config: {cert_file: server.crt, key_file: server.key}\nbasic_auth_users: {%s: %q}\n", user, passwordHash)
	return os.WriteFile(s.path("web", "web.yml"), []byte(config), 0o600)
}

// configure writes what the programs read when they start.
func (s *Stack) configure(set settings, o Options) error {
	t, err := template.New("prometheus.yml").Parse(prometheusConfig)
	if err != nil {
		return err
	}
	var config bytes.Buffer
	if err := t.Execute(&config, set); err != nil {
		return err
	}
	s.jobs = strings.Count(config.String(), "- job_name: ")
	for name, content := range map[string]string{
		"prometheus.yml":            config.String(),
		"rules/" + defaultRulesFile: defaultRules,
		ownRulesFile:                o.Rules,
		alertmanagerFile:            s.alertmanagerConfig(o.AlertmanagerConfig),
	} {
		if err := os.WriteFile(s.path(name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stack) alertmanagerConfig(yaml string) string {
	return strings.ReplaceAll(cmp.Or(yaml, defaultAlertmanagerConfig), "${SINK}", s.Control+"/notify")
}
