package agent

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/labels"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// serving is an API server with an Agent, and with any Deployment and ConfigMap
// that is asked for.
type serving struct {
	client.Client
	agent kagent.Agent
}

func (s serving) Get(_ context.Context, _ client.ObjectKey, o client.Object, _ ...client.GetOption) error {
	if a, ok := o.(*kagent.Agent); ok {
		*a = s.agent
	}
	return nil
}

// An Agent that is changed and changed back within a moment has a Deployment of
// the revision between, and a cache that does not know yet who made it.
func TestWhatWeRolledOutIsNoRollback(t *testing.T) {
	live := func() *appsv1.Deployment {
		d := &appsv1.Deployment{}
		d.Spec.Template.Annotations = map[string]string{labels.Revision: "between"}
		return d
	}
	cached := &work{Agent: kagent.Agent{ObjectMeta: metav1.ObjectMeta{Generation: 3}, Status: kagent.AgentStatus{TargetRevision: "first"}}, revision: "first"}
	for target, want := range map[string]string{"between": "", "first": "between"} {
		s := serving{agent: kagent.Agent{Status: kagent.AgentStatus{TargetRevision: target}}}
		back, err := (&Reconciler{Client: s, fresh: s}).wentBack(t.Context(), cached, live())
		require.NoError(t, err)
		require.Equal(t, want, back)
	}
}
