package kubernetes

import (
	"context"
	"fmt"
	"slices"

	"github.com/toolcrib/toolcrib/mcpkit"
	authzv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// everything lists all that a subject may do in a namespace, or everywhere.
func (a *accessCheck) everything(ctx context.Context) (CheckAccessOut, error) {
	ns := accessNamespace(a.c, a.in.Namespace)
	a.want = accessRequest{namespaced: true, namespace: ns}
	where := "in namespace " + ns
	if ns == "" {
		where = "in all namespaces"
	}
	out := CheckAccessOut{Answer: fmt.Sprintf("%s may, %s:", a.who, where)}
	out.Columns = []string{"verbs", "resources", "api_groups", "names", "binding"}
	if a.who.self != "" && ns != "" {
		out.Columns = out.Columns[:4]
	}
	rows, err := a.allRules(ctx, ns)
	if err != nil {
		return CheckAccessOut{}, err
	}
	if len(rows) == 0 {
		out.Answer = fmt.Sprintf("%s may nothing, %s", a.who, where)
		if len(a.blind) > 0 {
			out.Answer = fmt.Sprintf("not known: what %s may, %s", a.who, where)
		}
	}
	if slices.Contains(a.who.groups, masters) {
		a.note("group " + masters + " may do everything; RBAC is not asked")
	}
	a.note(a.who.note)
	a.noteBlind()
	out.Notes, out.Rows = a.notes, rows
	a.cut(&out)
	return out, nil
}

func (a *accessCheck) allRules(ctx context.Context, ns string) ([][]string, error) {
	if a.who.self != "" && ns != "" {
		return a.ownRules(ctx, ns)
	}
	var mine []binding
	err := a.eachBinding(ctx, func(b binding) {
		if (b.namespace == "" || b.namespace == ns) && slices.ContainsFunc(b.subjects, a.who.is) {
			mine = append(mine, b)
		}
	})
	if err != nil {
		return nil, err
	}
	var rows [][]string
	for _, b := range mine {
		rules, err := a.rulesOf(ctx, b.role)
		if err = a.look(err); err != nil {
			return nil, err
		}
		for _, r := range rules {
			rows = append(rows, ruleRow(r, b.String()))
		}
	}
	return rows, nil
}

// rulesOf reads one role; a binding to a role that is gone grants nothing.
func (a *accessCheck) rulesOf(ctx context.Context, k roleKey) ([]rbacv1.PolicyRule, error) {
	t := "clusterroles.rbac.authorization.k8s.io"
	if k.namespace != "" {
		t = "roles.rbac.authorization.k8s.io"
	}
	obj, _, err := a.b.get(ctx, Ref{ResourceType: t, ResourceName: k.name, Namespace: k.namespace})
	if isKind(err, mcpkit.NotFound) {
		a.note(fmt.Sprintf("a binding names %s, which does not exist", k))
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r rbacv1.ClusterRole // a Role has its rules in the same place
	err = into(obj, &r)
	return r.Rules, err
}

func ruleRow(r rbacv1.PolicyRule, through ...string) []string {
	resources := r.Resources
	if len(r.NonResourceURLs) > 0 {
		resources = r.NonResourceURLs
	}
	return append([]string{front(r.Verbs), front(resources), front(r.APIGroups), front(r.ResourceNames)}, through...)
}

// ownRules asks the API server what the asker itself may do.
func (a *accessCheck) ownRules(ctx context.Context, ns string) ([][]string, error) {
	review := &authzv1.SelfSubjectRulesReview{Spec: authzv1.SelfSubjectRulesReviewSpec{Namespace: ns}}
	done, err := a.c.typed.AuthorizationV1().SelfSubjectRulesReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return nil, translate(err, "ask what "+a.who.self+" may do")
	}
	if done.Status.Incomplete {
		a.note("the API server calls this list incomplete: " + done.Status.EvaluationError)
	}
	var rows [][]string
	for _, r := range done.Status.ResourceRules {
		rows = append(rows, ruleRow(rbacv1.PolicyRule{Verbs: r.Verbs, Resources: r.Resources, APIGroups: r.APIGroups, ResourceNames: r.ResourceNames}))
	}
	for _, r := range done.Status.NonResourceRules {
		rows = append(rows, ruleRow(rbacv1.PolicyRule{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs}))
	}
	return rows, nil
}
