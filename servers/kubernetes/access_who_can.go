package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	rbacv1 "k8s.io/api/rbac/v1"
)

// whoCan lists everybody who may do it.
func (a *accessCheck) whoCan(ctx context.Context) (CheckAccessOut, error) {
	all, err := a.roles(ctx)
	if err != nil {
		return CheckAccessOut{}, err
	}
	var rows [][]string
	holders, own := map[string]bool{}, map[string]bool{}
	err = a.eachBinding(ctx, func(b binding) {
		r := all[b.role]
		if r == nil || r.hit == nil || b.namespace != "" && a.want.namespace != "" && b.namespace != a.want.namespace {
			return
		}
		for _, s := range b.subjects {
			name := subjectName(s)
			if ships(b, s) {
				own[s.Name] = true
				continue
			}
			holders[name] = true
			rows = append(rows, []string{name, cmp.Or(b.namespace, "everywhere"), b.String(), a.roleText(b.role, all), a.want.ruleText(*r.hit)})
		}
	})
	if err != nil {
		return CheckAccessOut{}, err
	}
	if len(a.blind) > 0 && len(rows)+len(own) == 0 {
		return CheckAccessOut{}, mcpkit.Errorf(mcpkit.Denied, "%s", strings.Join(a.blind, "; "))
	}
	a.noteHolders(holders, own)
	slices.SortFunc(rows, func(x, y []string) int {
		return cmp.Or(rankSubject(x[0])-rankSubject(y[0]), slices.Compare(x, y))
	})
	what := strings.Replace(a.want.String(), " in all namespaces", ", in any namespace", 1)
	out := CheckAccessOut{Answer: fmt.Sprintf("%s may %s, and every member of group %s", plural(len(holders), "subject"), what, masters), Notes: a.notes}
	out.Columns, out.Rows = []string{"subject", "where", "binding", "role", "rule"}, rows
	a.cut(&out)
	return out, nil
}

// noteHolders says which of those who may are many at once, and which are parts
// of Kubernetes itself.
func (a *accessCheck) noteHolders(holders, own map[string]bool) {
	for _, open := range []string{"Group system:authenticated", "Group system:unauthenticated", "User system:anonymous", "Group system:serviceaccounts"} {
		if holders[open] {
			a.note("open to many: " + open)
		}
	}
	if len(own) > 0 {
		a.note(fmt.Sprintf("not counted: %s of Kubernetes itself: %s", plural(len(own), "component"), some(sortedKeys(own), 20)))
	}
	a.note(a.want.note)
	a.noteBlind()
}

// ships reports whether Kubernetes itself brings a binding's subject: the name
// of the binding and the subject both say so.
func ships(b binding, s rbacv1.Subject) bool {
	if !strings.HasPrefix(b.name, "system:") {
		return false
	}
	return s.Kind == rbacv1.ServiceAccountKind && s.Namespace == "kube-system" || s.Kind == rbacv1.UserKind && strings.HasPrefix(s.Name, "system:kube-")
}

// rankSubject puts people before machines, and what an operator made before
// what Kubernetes brings.
func rankSubject(s string) int {
	switch {
	case strings.Contains(s, " system:") || strings.Contains(s, " kube-system/"):
		return 2
	case strings.HasPrefix(s, rbacv1.ServiceAccountKind):
		return 1
	}
	return 0
}
