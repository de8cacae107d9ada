package mcpkit

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
)

// role is a Kubernetes ClusterRole or Role, as rbac.authorization.k8s.io/v1.
type role struct {
	APIVersion string         `yaml:"apiVersion"`
	Kind       string         `yaml:"kind"`
	Metadata   map[string]any `yaml:"metadata"`
	Rules      []Rule         `yaml:"rules"`
}

// rbacCommand prints what the tools of one access mode need.
func (p Program) rbacCommand() *cobra.Command {
	var access, name string
	identity := IdentityServer
	var callers Callers
	cmd := &cobra.Command{
		Use:   "rbac",
		Short: "Print the ClusterRole that the tools of an access mode need",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkAccess(access, AccessRead, AccessWrite); err != nil {
				return err
			}
			if err := identity.check(); err != nil {
				return err
			}
			if identity == IdentityCaller {
				return callers.WriteRoles(cmd.OutOrStdout(), cmp.Or(name, "toolcrib-"+p.Name+"-callers"))
			}
			if len(callers.named()) > 0 {
				return usagef("--users, --groups and --service-accounts need --identity=caller")
			}
			ts := NewToolset()
			if err := p.Register(ts); err != nil {
				return err
			}
			return writeRole(cmd.OutOrStdout(), cmp.Or(name, "toolcrib-"+p.Name+"-"+access), ts.Rules(Access(access)))
		},
	}
	cmd.Flags().StringVar(&access, "access", string(AccessRead), "whose tools: `read` or write")
	cmd.Flags().StringVar(&name, "name", "", "`name` of the ClusterRole; toolcrib-"+p.Name+"-ACCESS if absent")
	if p.Identity != nil {
		callers.add(cmd.Flags(), &identity)
	}
	return cmd
}

func writeRole(w io.Writer, name string, rules []Rule) error {
	return writeRoles(w, role{"rbac.authorization.k8s.io/v1", "ClusterRole", map[string]any{"name": name}, rules})
}

func writeRoles(w io.Writer, roles ...role) error {
	e := yaml.NewEncoder(w)
	e.SetIndent(2)
	for _, r := range roles {
		if err := e.Encode(r); err != nil {
			return fmt.Errorf("write %s %s: %w", r.Kind, r.Metadata["name"], err)
		}
	}
	return e.Close()
}

// Rules are the union of what the tools of one access mode need: one rule per
// set of verbs and names within an API group, sorted.
func (ts *Toolset) Rules(a Access) []Rule {
	var all []Rule
	for _, t := range ts.served(a) {
		all = append(all, t.Rules...)
	}
	return mergeRules(all)
}

// grant is the smallest part of a rule: one verb on one resource or URL.
type grant struct{ group, resource, name, url, verb string }

// mergeRules breaks rules into single grants, drops those given twice, and
// joins what is left: verbs of one resource, then resources of the same verbs.
func mergeRules(rules []Rule) []Rule {
	verbs := map[grant][]string{} // of a grant without its verb
	for _, r := range rules {
		for _, g := range r.grants() {
			verb := g.verb
			g.verb = ""
			if !slices.Contains(verbs[g], verb) {
				verbs[g] = append(verbs[g], verb)
			}
		}
	}
	joined := map[string]*Rule{}
	for g, v := range verbs {
		slices.Sort(v)
		key := strings.Join([]string{g.group, g.name, fmt.Sprint(g.url != ""), strings.Join(v, ",")}, "\x00")
		r := joined[key]
		if r == nil {
			r = &Rule{Verbs: v}
			joined[key] = r
		}
		if g.url != "" {
			r.URLs = append(r.URLs, g.url)
			continue
		}
		r.Groups = []string{g.group}
		r.Resources = append(r.Resources, g.resource)
		if g.name != "" {
			r.Names = []string{g.name}
		}
	}
	out := make([]Rule, 0, len(joined))
	for _, r := range joined {
		slices.Sort(r.Resources)
		slices.Sort(r.URLs)
		out = append(out, *r)
	}
	slices.SortFunc(out, func(a, b Rule) int { return slices.Compare(a.sortKey(), b.sortKey()) })
	return out
}

func (r Rule) sortKey() []string {
	return slices.Concat(r.URLs[:min(1, len(r.URLs))], r.Groups, r.Resources, r.Names, r.Verbs)
}

func (r Rule) grants() []grant {
	var out []grant
	for _, verb := range r.Verbs {
		for _, url := range r.URLs {
			out = append(out, grant{url: url, verb: verb})
		}
		for _, group := range r.Groups {
			for _, resource := range r.Resources {
				for _, name := range orEmpty(r.Names) {
					out = append(out, grant{group, resource, name, "", verb})
				}
			}
		}
	}
	return out
}

func orEmpty(names []string) []string {
	if len(names) == 0 {
		return []string{""}
	}
	return names
}
