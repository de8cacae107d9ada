package agent

import (
	"testing"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// There is no API server here that could be asked.
func TestNothingIsToldOfOtherNamespaces(t *testing.T) {
	s := &resolver{Reconciler: &Reconciler{}, w: &work{Agent: kagent.Agent{ObjectMeta: metav1.ObjectMeta{Namespace: "here"}}}}
	require.Equal(t, "ask whoever looks after that namespace what there is", s.there(t.Context(), "tools", &kagent.RemoteMCPServerList{}, "there"))
	require.NoError(t, s.err())
}
