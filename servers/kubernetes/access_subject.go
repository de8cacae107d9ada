package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	authv1 "k8s.io/api/authentication/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// masters is the group that the API server lets do everything before it asks RBAC.
const masters = "system:masters"

// accessWho is a subject with the groups it is in.
type accessWho struct {
	user   string
	groups []string
	self   string // what the API server takes us for: this server, or the caller; empty for others
	note   string
}

const accountPrefix = "system:serviceaccount:"

func (w accessWho) String() string {
	name := "user " + w.user
	switch {
	case w.user == "":
		name = "group " + w.groups[0]
	case strings.HasPrefix(w.user, accountPrefix):
		name = "service account " + strings.Replace(strings.TrimPrefix(w.user, accountPrefix), ":", "/", 1)
	}
	if w.self != "" {
		return w.self + " (" + name + ")"
	}
	return name
}

// is reports whether a binding's subject means w.
func (w accessWho) is(s rbacv1.Subject) bool {
	switch s.Kind {
	case rbacv1.UserKind:
		return s.Name == w.user
	case rbacv1.GroupKind:
		return slices.Contains(w.groups, s.Name)
	case rbacv1.ServiceAccountKind:
		return w.user == accountPrefix+s.Namespace+":"+s.Name
	}
	return false
}

// accessSubject is whom a call asks about.
func (b *Backend) accessSubject(ctx context.Context, c *clients, in CheckAccessIn) (accessWho, error) {
	given := 0
	for _, s := range []string{in.User, in.ServiceAccount} {
		if s != "" {
			given++
		}
	}
	switch {
	case in.WhoCan && given+len(in.Group) > 0:
		return accessWho{}, mcpkit.Errorf(mcpkit.Invalid, "who_can lists every subject; leave out user, group and service_account")
	case in.WhoCan:
		return accessWho{}, nil
	case given > 1:
		return accessWho{}, mcpkit.Errorf(mcpkit.Invalid, "name one subject: user or service_account")
	case in.ServiceAccount != "" || strings.HasPrefix(in.User, accountPrefix):
		return b.accountSubject(ctx, c, in)
	case in.User != "":
		return userSubject(in.User, in.Group), nil
	case in.Group != "":
		return accessWho{groups: []string{in.Group, "system:authenticated"}}, nil
	}
	return b.self(ctx, c)
}

func userSubject(user, group string) accessWho {
	w := accessWho{user: user, groups: []string{"system:authenticated"}}
	switch {
	case user == "system:anonymous":
		w.groups = []string{"system:unauthenticated"}
	case strings.HasPrefix(user, "system:node:"):
		w.groups = append(w.groups, "system:nodes")
		w.note = "the Node authorizer lets a kubelet do more, for its own node and pods"
	case group == "":
		w.note = "a user's groups come with the credentials and are not known to the API; pass group to count one in"
	}
	if group != "" {
		w.groups = append(w.groups, group)
	}
	return w
}

// accountSubject names a service account, which must exist.
func (b *Backend) accountSubject(ctx context.Context, c *clients, in CheckAccessIn) (accessWho, error) {
	ns, name, err := accountName(in.ServiceAccount+strings.Replace(strings.TrimPrefix(in.User, accountPrefix), ":", "/", 1), accessNamespace(c, in.Namespace))
	if err != nil {
		return accessWho{}, err
	}
	if _, _, err := b.get(ctx, Ref{ResourceType: "serviceaccounts", ResourceName: name, Namespace: ns}); isKind(err, mcpkit.NotFound) {
		return accessWho{}, err
	}
	w := accessWho{
		user:   accountPrefix + ns + ":" + name,
		groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + ns, "system:authenticated"},
	}
	if in.Group != "" {
		w.groups = append(w.groups, in.Group)
	}
	return w, nil
}

// accountName reads "namespace/name", "namespace:name" or a name in the
// namespace the call is about.
func accountName(s, fallback string) (namespace, name string, err error) {
	namespace, name, found := strings.Cut(strings.Replace(s, ":", "/", 1), "/")
	if !found {
		namespace, name = fallback, s
	}
	if namespace == "" || name == "" || strings.ContainsAny(name+namespace, "/: ") {
		return "", "", mcpkit.Errorf(mcpkit.Invalid, "service_account is written namespace/name, such as shop/web")
	}
	return namespace, name, nil
}

// self is whom the API server takes us for.
func (b *Backend) self(ctx context.Context, c *clients) (accessWho, error) {
	review, err := c.typed.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return accessWho{}, translate(err, "ask who asks")
	}
	u := review.Status.UserInfo
	who := accessWho{user: u.Username, groups: u.Groups, self: "this server"}
	if b.cfg.Identity == mcpkit.IdentityCaller {
		who.self = "the caller"
	}
	return who, nil
}

// subjectName writes a binding's subject the way the tool's arguments name it.
func subjectName(s rbacv1.Subject) string {
	if s.Kind == rbacv1.ServiceAccountKind {
		return fmt.Sprintf("ServiceAccount %s/%s", s.Namespace, s.Name)
	}
	return s.Kind + " " + s.Name
}
