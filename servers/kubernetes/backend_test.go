package kubernetes

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// unanswered is a backend whose API server accepts connections and says nothing.
func unanswered(t testing.TB) *Backend {
	t.Helper()
	config := clientcmdapi.NewConfig()
	config.Clusters["test"] = &clientcmdapi.Cluster{Server: "http://" + blackHole(t)}
	config.Contexts["test"] = &clientcmdapi.Context{Cluster: "test"}
	config.CurrentContext = "test"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(*config, path))
	return over(path, "kubernetes-mcp/test")
}

func TestCallsThatWaitForTypesEndWithTheirOwnContext(t *testing.T) {
	b := unanswered(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	ended := make(chan error)
	const calls = 200
	for range calls {
		go func() {
			_, err := b.resolve(ctx, "pods")
			ended <- err
		}()
	}
	for range calls {
		require.ErrorIs(t, <-ended, context.DeadlineExceeded)
	}
}

func TestResolveRefusesWhatIsNoTypeName(t *testing.T) {
	b := over(os.DevNull, "kubernetes-mcp/test")
	for _, name := range []string{"", " ", "pods/web", "pods,services", "pods?x", "../secrets", "pods web"} {
		_, err := b.resolve(t.Context(), name)
		var known *mcpkit.Error
		require.ErrorAs(t, err, &known, name)
		require.Equal(t, mcpkit.Invalid, known.Kind, name)
	}
}
