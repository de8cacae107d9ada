package charts

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// isRole reports whether o is a Role or a ClusterRole.
func isRole(o object) bool {
	return slices.Contains([]string{"Role", "ClusterRole"}, at[string](o, "kind"))
}

// TestNoRoleHoldsAWildcard walks every role of every rendered chart and every
// role that a chart of this folder holds as a plain file.
func TestNoRoleHoldsAWildcard(t *testing.T) {
	walked := 0
	walk := func(t *testing.T, o object) {
		if isRole(o) {
			rules, err := json.Marshal(o["rules"])
			require.NoError(t, err)
			require.NotContains(t, string(rules), "*", "%s %s", o["kind"], at[string](o, "metadata", "name"))
			walked++
		}
	}
	eachRelease(t, func(t *testing.T, _ string, r rendered) {
		for _, o := range objects(t, r.manifest) {
			walk(t, o)
		}
	})
	plain, err := filepath.Glob("*/manifests/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, plain)
	for _, path := range plain {
		for _, o := range objects(t, read(t, path)) {
			walk(t, o)
		}
	}
	require.Greater(t, walked, 20)
}

// TestTheReadServerHoldsNoWriteVerb looks at every role bound to the
// ServiceAccount of a read server. The cluster's own role for reviews is the one
// that may be bound to it.
func TestTheReadServerHoldsNoWriteVerb(t *testing.T) {
	eachRelease(t, func(t *testing.T, name string, r rendered) {
		chart, _, _ := strings.Cut(name, "-")
		if slices.Contains(others, chart) {
			return
		}
		reader := "crib-" + chart
		all := objects(t, r.manifest)
		roles := map[string]object{}
		for _, o := range all {
			if isRole(o) {
				roles[roleName(o, at[string](o, "kind"), at[string](o, "metadata", "name"))] = o
			}
		}
		bound := 0
		for _, o := range all {
			if !strings.HasSuffix(at[string](o, "kind"), "Binding") || !binds(o, reader) {
				continue
			}
			bound++
			role := at[string](o, "roleRef", "name")
			if role == "system:auth-delegator" {
				continue
			}
			for _, rule := range roles[roleName(o, at[string](o, "roleRef", "kind"), role)]["rules"].([]any) {
				for _, verb := range rule.(object)["verbs"].([]any) {
					require.Contains(t, []any{"get", "list", "watch", "impersonate"}, verb, role)
					require.True(t, verb != "impersonate" || name == "kubernetes-caller", role)
				}
			}
		}
		require.NotZero(t, bound)
	})
}

// roleName names a role as a binding o, or the role o itself, sees it.
func roleName(o object, kind, name string) string {
	if kind == "ClusterRole" {
		return name
	}
	return at[string](o, "metadata", "namespace") + "/" + name
}

// binds reports whether a binding names the ServiceAccount of a server.
func binds(binding object, account string) bool {
	for _, subject := range binding["subjects"].([]any) {
		s := subject.(object)
		if s["kind"] == "ServiceAccount" && s["name"] == account && s["namespace"] == namespace {
			return true
		}
	}
	return false
}

// TestTheReadServerMayNotWrite asks the API server what the account of the read
// server may do, beside that of a write server.
func TestTheReadServerMayNotWrite(t *testing.T) {
	for _, server := range servers {
		t.Run(server, func(t *testing.T) {
			name := installed(t, server)
			var rights []right
			require.Eventually(t, func() bool {
				rights = rightsOf(t, "system:serviceaccount:"+installedIn+":"+name)
				return grant(rights, "create", "tokenreviews") && (server == "prometheus" || grant(rights, "list", "pods"))
			}, soon, 100*time.Millisecond)
			for _, rule := range rights {
				for _, verb := range rule.Verbs {
					switch {
					case slices.Contains([]string{"get", "list", "watch"}, verb):
					case verb == "create" && isReview(rule.Resources):
					default:
						t.Errorf("the read server may %s %v of %v", verb, rule.Resources, rule.APIGroups)
					}
				}
			}
		})
	}
}

type right struct{ Verbs, APIGroups, Resources []string }

// grant reports whether rights let one do something.
func grant(rights []right, verb, resource string) bool {
	return slices.ContainsFunc(rights, func(r right) bool {
		return slices.Contains(r.Verbs, verb) && slices.Contains(r.Resources, resource)
	})
}

// isReview reports whether resources are questions, which change nothing.
func isReview(resources []string) bool {
	return !slices.ContainsFunc(resources, func(r string) bool { return !strings.HasSuffix(r, "reviews") })
}

// rightsOf is what the API server says that a user may do in the namespace of
// the releases, and so in the whole cluster too.
func rightsOf(t *testing.T, user string) []right {
	t.Helper()
	review := fmt.Sprintf(`{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": %q}}`, installedIn)
	out := reviewed(t, "selfsubjectrulesreviews", review, "--as="+user, "--as-group=system:serviceaccounts", "--as-group=system:authenticated")
	answer := decoded[struct {
		Status struct{ ResourceRules []right }
	}](t, out)
	require.NotEmpty(t, answer.Status.ResourceRules)
	return answer.Status.ResourceRules
}
