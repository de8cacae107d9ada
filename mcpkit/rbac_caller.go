package mcpkit

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// Callers are whom a server with --identity=caller may act as.
type Callers struct {
	Users           []string
	Groups          []string // of the users, all but system:authenticated
	ServiceAccounts []string // NAMESPACE/NAME
}

// add adds the flags that name callers, and the one that asks for them.
func (c *Callers) add(fs *pflag.FlagSet, identity *Identity) {
	identity.add(fs, "as whom the server acts: `server`, or caller, which prints instead what it needs to act as the callers named")
	fs.StringSliceVar(&c.Users, "users", nil, "`names` of users to act as")
	fs.StringSliceVar(&c.Groups, "groups", nil, "`names` of all groups those users are in, but system:authenticated")
	fs.StringSliceVar(&c.ServiceAccounts, "service-accounts", nil, "`namespace/name` of ServiceAccounts to act as")
}

func (c Callers) named() []string { return slices.Concat(c.Users, c.Groups, c.ServiceAccounts) }

// check refuses a list that would grant more than its author sees: who acts for
// everybody, or for a group that may do everything, may do everything itself.
func (c Callers) check() error {
	switch {
	case len(c.Users)+len(c.ServiceAccounts) == 0:
		return usagef("--identity=caller needs the callers: --users=ada,grace --groups=sre, --service-accounts=NAMESPACE/NAME or both")
	case slices.Contains(c.named(), "") || slices.Contains(c.named(), "*"):
		return usagef("name each caller; an empty name or * would be everybody")
	case slices.Contains(c.Groups, "system:masters"):
		return usagef("--groups=system:masters would let this server do everything; call it as somebody else")
	}
	for _, a := range c.ServiceAccounts {
		namespace, name, found := strings.Cut(a, "/")
		if !found || namespace == "" || name == "" || strings.Contains(name, "/") {
			return usagef("--service-accounts=%s is not NAMESPACE/NAME", a)
		}
	}
	for _, u := range c.Users {
		if strings.HasPrefix(u, serviceAccountPrefix) {
			return usagef("--users=%s is a ServiceAccount; write --service-accounts=NAMESPACE/NAME", u)
		}
	}
	return nil
}

// WriteRoles prints what a server needs to act as c: a ClusterRole for the users
// and, since a ClusterRole would mean a ServiceAccount of that name in any
// namespace, a Role in each namespace of ServiceAccounts.
func (c Callers) WriteRoles(w io.Writer, name string) error {
	if err := c.check(); err != nil {
		return err
	}
	const version = "rbac.authorization.k8s.io/v1"
	roles := []role{{version, "ClusterRole", map[string]any{"name": name}, c.rules()}}
	in := map[string][]string{}
	for _, a := range c.ServiceAccounts {
		namespace, account, _ := strings.Cut(a, "/")
		in[namespace] = append(in[namespace], account)
	}
	for _, namespace := range slices.Sorted(maps.Keys(in)) {
		roles = append(roles, role{version, "Role", map[string]any{"name": name, "namespace": namespace},
			[]Rule{impersonate("", "serviceaccounts", in[namespace]...)}})
	}
	return writeRoles(w, roles...)
}

func (c Callers) rules() []Rule {
	var rules []Rule
	if len(c.Users) > 0 {
		rules = append(rules, impersonate("", "users", c.Users...))
	}
	if len(c.Groups) > 0 {
		rules = append(rules, impersonate("", "groups", c.Groups...))
	}
	extras := impersonate("authentication.k8s.io", "")
	extras.Resources = nil
	for _, key := range []string{MetaAgent, MetaCall, MetaRun} {
		extras.Resources = append(extras.Resources, "userextras/"+key)
	}
	return append(rules, extras)
}

func impersonate(group, resource string, names ...string) Rule {
	return Rule{Groups: []string{group}, Resources: []string{resource}, Names: names, Verbs: []string{"impersonate"}}
}
