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

// Reviews of one's own access need no rule: every authenticated user may ask
// for them through system:basic-user.
var checkAccess = mcpkit.Tool{
	Name:        "k8s_check_access",
	Title:       "Who may do what",
	Description: "Whether a subject (if absent, whom this server acts as) may do something, with the rule and binding that grants it; who_can: everybody who may. Without verb: all it may.",
	Narrow:      "name a namespace, a verb and a resource_type",
	Rules:       []mcpkit.Rule{readRule("rbac.authorization.k8s.io", "clusterrolebindings", "clusterroles", "rolebindings", "roles"), readRule("", "serviceaccounts")},
}

type CheckAccessIn struct {
	Verb           string `json:"verb,omitempty" jsonschema:"such as delete"`
	ResourceType   string `json:"resource_type,omitempty" jsonschema:"pods, pods/exec, or a path: /metrics"`
	ResourceName   string `json:"resource_name,omitempty" jsonschema:"any if absent"`
	Namespace      string `json:"namespace,omitempty" jsonschema:"default if absent; * for all"`
	User           string `json:"user,omitempty"`
	Group          string `json:"group,omitempty"`
	ServiceAccount string `json:"service_account,omitempty" jsonschema:"namespace/name"`
	WhoCan         bool   `json:"who_can,omitempty"`
}

func (CheckAccessIn) Constrain(p mcpkit.Properties) {
	p["user"].Description, p["group"].Description = "subject", "subject, or a group of user"
	p["who_can"].Description = "list who may"
}

type CheckAccessOut struct {
	Answer string   `json:"answer" jsonschema:"yes, no or not known, and about whom and what"`
	Notes  []string `json:"notes,omitempty" jsonschema:"what else bears on the answer, and what could not be looked at"`
	mcpkit.Left
	mcpkit.Table
}

func (b *Backend) checkAccess(ctx context.Context, in CheckAccessIn) (CheckAccessOut, error) {
	c, err := b.open()
	if err != nil {
		return CheckAccessOut{}, err
	}
	who, err := b.accessSubject(ctx, c, in)
	if err != nil {
		return CheckAccessOut{}, err
	}
	a := &accessCheck{b: b, c: c, in: in, who: who}
	if in.Verb == "" && in.ResourceType == "" && !in.WhoCan {
		mcpkit.SetTarget(ctx, "all rights of "+who.String())
		return a.everything(ctx)
	}
	if a.want, err = b.accessRequest(ctx, c, in); err != nil {
		return CheckAccessOut{}, err
	}
	mcpkit.SetTarget(ctx, a.want.String())
	if in.WhoCan {
		return a.whoCan(ctx)
	}
	return a.can(ctx)
}

// accessCheck is one call on its way.
type accessCheck struct {
	b     *Backend
	c     *clients
	in    CheckAccessIn
	who   accessWho
	want  accessRequest
	notes []string
	blind []string // what RBAC does not let us look at
}

// accessRequest is what somebody wants to do, as the API server's authorizer
// sees it.
type accessRequest struct {
	verb, group, resource, subresource, name string
	namespace                                string // empty: cluster-wide, or in every namespace
	namespaced                               bool
	url                                      string // instead of a resource
	note                                     string
}

func (w accessRequest) String() string {
	if w.url != "" {
		return w.verb + " " + w.url
	}
	what := w.resource
	if w.group != "" {
		what += "." + w.group
	}
	if w.subresource != "" {
		what += "/" + w.subresource
	}
	out := w.verb + " " + named(what, w.namespace, w.name)
	if w.namespaced && w.namespace == "" {
		out += " in all namespaces"
	}
	return out
}

// path is the resource with its subresource, as rules write it.
func (w accessRequest) path() string {
	return strings.TrimSuffix(w.resource+"/"+w.subresource, "/")
}

// customVerbs are those RBAC knows beside the ones types are served with.
var customVerbs = []string{"*", "approve", "attest", "bind", "call", "escalate", "impersonate", "sign", "use"}

func (b *Backend) accessRequest(ctx context.Context, c *clients, in CheckAccessIn) (accessRequest, error) {
	w := accessRequest{verb: strings.ToLower(in.Verb), name: in.ResourceName}
	switch {
	case w.verb == "" || in.ResourceType == "":
		return w, mcpkit.Errorf(mcpkit.Invalid, "give verb and resource_type together: get and pods, create and pods/exec; neither lists all that a subject may do")
	case strings.HasPrefix(in.ResourceType, "/"):
		w.url = in.ResourceType
		return w, nil
	}
	name, sub, _ := strings.Cut(in.ResourceType, "/")
	w.subresource = sub
	t, err := b.resolve(ctx, name)
	if isKind(err, mcpkit.NotFound) && strings.Contains(name, ".") {
		w.resource, w.group, _ = strings.Cut(strings.ToLower(name), ".")
		w.namespaced, w.namespace = true, accessNamespace(c, in.Namespace)
		w.note = fmt.Sprintf("the cluster serves no type %s; answered for the name as RBAC sees it", name)
		return w, nil
	}
	if err != nil {
		return w, err
	}
	w.resource, w.group, w.namespaced = t.Resource, t.Group, t.Namespaced
	if t.Namespaced {
		w.namespace = accessNamespace(c, in.Namespace)
	}
	if !t.can(w.verb) && sub == "" && !slices.Contains(customVerbs, w.verb) {
		w.note = fmt.Sprintf("%s are not served with the verb %s, only with %s", t, w.verb, strings.Join(t.Verbs, ", "))
		if near := mcpkit.Nearest(w.verb, t.Verbs); len(near) > 0 {
			w.note += "; did you mean " + near[0] + "?"
		}
	}
	return w, nil
}

func accessNamespace(c *clients, asked string) string {
	if asked == "*" {
		return ""
	}
	return cmp.Or(asked, c.namespace)
}

// allows reports whether a rule grants the request. Near misses are a rule for
// the resource but other verbs, and one for certain objects alone.
func (w accessRequest) allows(r rbacv1.PolicyRule) bool {
	return holds(r.Verbs, w.verb) && w.covers(r) && (w.url != "" || len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, w.name))
}

// covers reports whether a rule is about the requested resource or path.
func (w accessRequest) covers(r rbacv1.PolicyRule) bool {
	if w.url != "" {
		return slices.ContainsFunc(r.NonResourceURLs, func(u string) bool {
			head, any := strings.CutSuffix(u, "*")
			return u == w.url || any && strings.HasPrefix(w.url, head)
		})
	}
	return holds(r.APIGroups, w.group) && slices.ContainsFunc(r.Resources, func(res string) bool {
		return res == "*" || res == w.path() || w.subresource != "" && res == "*/"+w.subresource
	})
}

// holds reports whether a list of a rule has v or the wildcard.
func holds(list []string, v string) bool {
	return slices.Contains(list, "*") || slices.Contains(list, v)
}
