package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	authzv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// accessFinding gathers what the bindings of one subject come to.
type accessFinding struct {
	rows      [][]string // binding, role, rule, through
	verbs     []string   // granted on the same resource
	names     []string   // objects to which a grant is limited
	elsewhere []string   // namespaces where it is granted
	mentioned bool       // some binding names the subject itself
	users     []string   // other users and groups that bindings name
}

// can answers whether a subject may do it, and why.
func (a *accessCheck) can(ctx context.Context) (CheckAccessOut, error) {
	verdict, reason, err := a.review(ctx)
	if err != nil {
		return CheckAccessOut{}, err
	}
	all, err := a.roles(ctx)
	if err != nil {
		return CheckAccessOut{}, err
	}
	var f accessFinding
	if err := a.eachBinding(ctx, func(b binding) { a.weigh(&f, b, all) }); err != nil {
		return CheckAccessOut{}, err
	}
	if len(f.rows) > 0 || slices.Contains(a.who.groups, masters) {
		verdict = cmp.Or(verdict, "yes")
	}
	if verdict == "" && len(a.blind) > 0 {
		verdict = "not known"
	}
	verdict = cmp.Or(verdict, "no")
	out := CheckAccessOut{Answer: fmt.Sprintf("%s: %s may %s%s", verdict, a.who, map[bool]string{true: "not "}[verdict == "no"], a.want)}
	if verdict == "not known" {
		out.Answer = fmt.Sprintf("not known: whether %s may %s", a.who, a.want)
	}
	a.explain(&f, all, verdict, reason)
	out.Notes = a.notes
	out.Columns, out.Rows = []string{"binding", "role", "rule", "as"}, f.rows
	a.cut(&out)
	return out, nil
}

// review asks the API server itself, which it only answers about the asker.
func (a *accessCheck) review(ctx context.Context) (verdict, reason string, err error) {
	if a.who.self == "" {
		return "", "", nil
	}
	r := &authzv1.SelfSubjectAccessReview{}
	if a.want.url != "" {
		r.Spec.NonResourceAttributes = &authzv1.NonResourceAttributes{Path: a.want.url, Verb: a.want.verb}
	} else {
		r.Spec.ResourceAttributes = &authzv1.ResourceAttributes{
			Namespace: a.want.namespace, Verb: a.want.verb, Group: a.want.group, Version: "*",
			Resource: a.want.resource, Subresource: a.want.subresource, Name: a.want.name,
		}
	}
	done, err := a.c.typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, r, metav1.CreateOptions{})
	if err != nil {
		return "", "", translate(err, "ask whether it may "+a.want.String())
	}
	if done.Status.Allowed {
		return "yes", done.Status.Reason, nil
	}
	return "no", cmp.Or(done.Status.Reason, done.Status.EvaluationError), nil
}

// weigh takes in one binding.
func (a *accessCheck) weigh(f *accessFinding, b binding, all map[roleKey]*role) {
	i := slices.IndexFunc(b.subjects, a.who.is)
	if i < 0 {
		for _, s := range b.subjects {
			if len(f.users) < pageSize && s.Kind != rbacv1.ServiceAccountKind {
				f.users = append(f.users, s.Name)
			}
		}
		return
	}
	f.mentioned = f.mentioned || b.subjects[i].Name != "system:authenticated"
	r := all[b.role]
	if r == nil {
		return
	}
	if b.namespace != "" && b.namespace != a.want.namespace {
		if r.hit != nil {
			f.elsewhere = append(f.elsewhere, b.namespace)
		}
		return
	}
	f.verbs, f.names = append(f.verbs, r.verbs...), append(f.names, r.names...)
	if r.hit != nil {
		f.rows = append(f.rows, []string{b.String(), a.roleText(b.role, all), a.want.ruleText(*r.hit), subjectName(b.subjects[i])})
	}
}

func (a *accessCheck) roleText(k roleKey, all map[roleKey]*role) string {
	if from := sources(all, all[k]); len(from) > 0 {
		return k.String() + " (aggregated from " + some(from, 3) + ")"
	}
	return k.String()
}

// explain notes what else bears on the answer.
func (a *accessCheck) explain(f *accessFinding, all map[roleKey]*role, verdict, reason string) {
	a.note(a.want.note)
	if slices.Contains(a.who.groups, masters) {
		a.note("group " + masters + " may do everything; RBAC is not asked")
	}
	if reason != "" && len(f.rows) == 0 {
		a.note("the API server says: " + reason)
	}
	if verdict != "yes" {
		if len(f.verbs) > 0 {
			a.note("on the same it may " + strings.Join(unique(f.verbs), ", "))
		}
		if len(f.names) > 0 {
			a.note("it may for these objects alone: " + some(unique(f.names), 8))
		}
		if len(f.elsewhere) > 0 {
			a.note("it may in these namespaces: " + some(unique(f.elsewhere), 8))
		}
		if grant := grantors(all); len(grant) > 0 {
			a.note("roles that would grant it, once a person binds one: " + some(grant, 5))
		}
		a.note(a.who.note)
		if name := cmp.Or(a.in.User, a.in.Group); !f.mentioned && name != "" {
			said := "no binding names " + a.who.String()
			if near := mcpkit.Nearest(name, unique(f.users)); len(near) > 0 {
				said += "; the nearest names in bindings are " + strings.Join(near, ", ")
			}
			a.note(said)
		}
	}
	a.noteBlind()
}

func (a *accessCheck) note(s string) {
	if s != "" {
		a.notes = append(a.notes, s)
	}
}

func (a *accessCheck) noteBlind() {
	for _, b := range a.blind {
		a.note("not looked at: " + b)
	}
}

// accessRows is how many rows an answer has at most.
const accessRows = 50

func (a *accessCheck) cut(out *CheckAccessOut) {
	all := len(out.Rows)
	if out.Rows, out.Truncated = mcpkit.FirstN(out.Rows, 0, accessRows); out.Truncated {
		out.LeftOut = fmt.Sprintf("rows: %d of %d shown; %s", len(out.Rows), all, checkAccess.Narrow)
	}
}

// grantors are the roles that grant the request, people's before the system's.
func grantors(all map[roleKey]*role) []string {
	var out []string
	for key, r := range all {
		if r.hit != nil {
			out = append(out, key.String())
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		return cmp.Or(strings.Count(a, " system:")-strings.Count(b, " system:"), cmp.Compare(a, b))
	})
	return out
}

func unique(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}
