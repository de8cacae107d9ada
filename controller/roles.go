package controller

import (
	"io"
	"strings"

	"github.com/toolcrib/toolcrib/controller/agent"
	"github.com/toolcrib/toolcrib/controller/agenttrigger"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// senderRole is for whoever sends alerts to triggers.
const senderRole = "toolcrib-alert-sender"

// account is the name of the controller's ServiceAccount and of its roles.
const account = "toolcrib-controller"

// ownRules are what every controller needs, whatever it reconciles.
var ownRules = []rbacv1.PolicyRule{
	{APIGroups: []string{"events.k8s.io"}, Resources: []string{"events"}, Verbs: []string{"create", "patch"}},
	{APIGroups: []string{""}, Resources: []string{"namespaces"}, Verbs: []string{"get", "list", "watch"}},
	{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"tools"}, Verbs: []string{"list"}},
}

// roles are the ClusterRoles of the controller, of its agents and of whoever sends
// alerts, and the Role
// that the controller has in its own namespace: for the lease that says who
// works, and for tokens of its own to show to tool servers.
func roles() []any {
	var rules []rbacv1.PolicyRule
	rules = append(rules, ownRules...)
	for _, k := range kinds {
		rules = append(rules, k.rules...)
	}
	return []any{
		clusterRole(account, rules...),
		clusterRole(agent.Role,
			rbacv1.PolicyRule{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agentruns"}, Verbs: []string{"get", "list", "watch", "create", "patch"}},
			rbacv1.PolicyRule{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"agentruns/status"}, Verbs: []string{"get", "patch", "update"}},
			rbacv1.PolicyRule{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"approvals"}, Verbs: []string{"list", "create", "consume"}},
			rbacv1.PolicyRule{APIGroups: []string{"toolcrib.dev"}, Resources: []string{"approvals/status"}, Verbs: []string{"update"}},
		),
		clusterRole(agent.ReviewsRole,
			rbacv1.PolicyRule{APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"}},
			rbacv1.PolicyRule{APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"subjectaccessreviews"}, Verbs: []string{"create"}},
		),
		clusterRole(senderRole, agenttrigger.SenderRules...),
		&rbacv1.Role{
			TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
			ObjectMeta: metav1.ObjectMeta{Name: account},
			Rules: []rbacv1.PolicyRule{
				{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create"}},
				{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, ResourceNames: []string{account}, Verbs: []string{"get", "update"}},
				{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{account}, Verbs: []string{"create"}},
			},
		},
	}
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{
		TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "ClusterRole"},
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules:      rules,
	}
}

// WriteRoles writes the roles as YAML.
func WriteRoles(w io.Writer) error {
	var documents []string
	for _, role := range roles() {
		text, err := yaml.Marshal(role)
		if err != nil {
			return err
		}
		documents = append(documents, string(text))
	}
	_, err := io.WriteString(w, strings.Join(documents, "---\n"))
	return err
}
