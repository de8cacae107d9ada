package agent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/controller/kept"
	"github.com/toolcrib/toolcrib/controller/outcome"
	authorizationv1 "k8s.io/api/authorization/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ToolsGranted says whether the agent may call the tools that it names.
const ToolsGranted = "ToolsGranted"

// How long an answer about a grant counts, and when one that is missing is looked
// for again: after its answer has ceased to count, jitter and all.
const (
	granted    = 5 * time.Minute
	notGranted = 15 * time.Second
	lookAgain  = 30 * time.Second
)

// grant is the right to call one tool of the servers of a namespace.
type grant struct{ namespace, tool string }

// grants asks the API server who may call what. Nothing tells when that
// changes, so its answers count for a while.
type grants struct {
	client client.Client
	known  *kept.Answers[grantOf, bool]
}

type grantOf struct {
	grant
	accountNamespace, account string
}

func newGrants(c client.Client, clock clock.PassiveClock) *grants {
	return &grants{client: c, known: kept.New[grantOf, bool](clock)}
}

// ask is whether the ServiceAccount has the grant.
func (g *grants) ask(ctx context.Context, of grantOf) (bool, error) {
	if ok, known := g.known.Get(of); known {
		return ok, nil
	}
	review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
		User:   "system:serviceaccount:" + of.accountNamespace + ":" + of.account,
		Groups: []string{"system:serviceaccounts", "system:serviceaccounts:" + of.accountNamespace, "system:authenticated"},
		ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: "call", Group: "toolcrib.dev", Resource: "tools", Namespace: of.namespace, Name: of.tool,
		},
	}}
	if err := g.client.Create(ctx, review); err != nil {
		return false, fmt.Errorf("ask who may call %s: %w", of.tool, err)
	}
	lasts := notGranted
	if review.Status.Allowed {
		lasts = granted
	}
	g.known.Put(of, review.Status.Allowed, lasts)
	return review.Status.Allowed, nil
}

// reportGrants says which grants the agent lacks, and how to make them. The
// controller makes none.
func (r *Reconciler) reportGrants(ctx context.Context, w *work) error {
	if len(w.references.grants) == 0 {
		if w.revision != "" {
			meta.RemoveStatusCondition(&w.Status.Conditions, ToolsGranted)
		}
		return nil
	}
	missing := map[string][]string{}
	for _, g := range w.references.grants {
		ok, err := r.grants.ask(ctx, grantOf{g, w.Namespace, serviceAccount(w)})
		if err != nil {
			return err
		}
		if !ok {
			missing[g.namespace] = append(missing[g.namespace], g.tool)
		}
	}
	var err error
	if len(missing) > 0 {
		err = outcome.Waiting(lookAgain, "GrantsMissing", "%s", howToGrant(w, missing))
	}
	outcome.Set(&w.Status.Conditions, w.Generation, ToolsGranted, err, "Granted", fmt.Sprintf("it may call all %d tools that it names", len(w.references.grants)))
	return err
}

// howToGrant are the lines of kubectl that make the grants.
func howToGrant(w *work, missing map[string][]string) string {
	var lines []string
	for namespace, tools := range missing {
		role := fmt.Sprintf("agent-%s-%s-tools", w.Namespace, w.Name)
		slices.Sort(tools)
		var names strings.Builder
		for _, tool := range tools {
			names.WriteString(" --resource-name=" + tool)
		}
		lines = append(lines, fmt.Sprintf("it may not call %s; whoever looks after the tools of namespace %s grants that with: %s && %s",
			strings.Join(tools, ", "), namespace,
			merge("-n %s create role %s --verb=call --resource=tools.toolcrib.dev%s", namespace, role, names.String()),
			merge("-n %s create rolebinding %s --role=%s --serviceaccount=%s:%s", namespace, role, role, w.Namespace, serviceAccount(w))))
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// merge is the line that makes what kubectl create would, or adds it to what
// is there of that name already: the role of tools that were granted before.
func merge(create string, args ...any) string {
	return "kubectl " + fmt.Sprintf(create, args...) + " --dry-run=client -o yaml | kubectl auth reconcile -f -"
}
