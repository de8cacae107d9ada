package clientgo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func TestWhatTheAPIServerSaysIsTranslated(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	known := mcpkit.Errorf(mcpkit.TooLarge, "known")
	for _, c := range []struct {
		said error
		want string
	}{
		{apierrors.NewForbidden(pods, "web", errors.New(`User "ada" cannot get resource "pods"`)), `denied: ada may not get it: pods "web" is forbidden: User "ada" cannot get resource "pods". A person must grant it; do not look for a way around`},
		{apierrors.NewUnauthorized("who?"), "denied: the cluster rejects this server's credentials (expired or revoked) when asked to get it. A person must renew them"},
		{apierrors.NewNotFound(pods, "web"), `not_found: cannot get it: pods "web" not found`},
		{apierrors.NewAlreadyExists(pods, "web"), `conflict: cannot get it: pods "web" already exists`},
		{apierrors.NewResourceExpired("too old"), "unavailable: cannot get it: too much changed meanwhile; try again"},
		{apierrors.NewTooManyRequests("busy", 1), "unavailable: the API server could not get it: busy; try again in a moment"},
		{fmt.Errorf("wrapped: %w", apierrors.NewBadRequest("no such field")), "invalid: cannot get it: no such field"},
		{&apierrors.StatusError{ErrStatus: metav1.Status{Message: "odd", Reason: "Odd"}}, "unavailable: the API server could not get it: odd"},
		{context.DeadlineExceeded, "unavailable: the API server did not get it in time; ask for less, or try again"},
		{known, "too_large: known"},
	} {
		require.EqualError(t, Translate(c.said, "get it"), c.want)
	}
	require.NoError(t, Translate(nil, "get it"))
	require.ErrorIs(t, Translate(context.Canceled, "get it"), context.Canceled)
	require.EqualError(t, Translate(errors.New("odd"), "get it"), "get it: odd", "what nobody knows is not for the model")
}

func TestCausesStandOnLinesOfTheirOwn(t *testing.T) {
	err := apierrors.NewInvalid(schema.GroupKind{Kind: "Pod"}, "web", field.ErrorList{
		field.Required(field.NewPath("spec", "containers"), ""),
		field.Invalid(field.NewPath("metadata", "name"), "Web", "lower case"),
	})
	require.Equal(t, "Pod \"web\" is invalid:\n- spec.containers: Required value\n- metadata.name: Invalid value: \"Web\": lower case", Reason(err))
	require.Equal(t, `Pod "web" is invalid: [spec.containers: Required value, metadata.name: Invalid value: "Web": lower case]`, Message(err))
	require.Equal(t, "plain", Message(errors.New("plain")))
}

// kubeconfig writes one whose user has the settings.
func kubeconfig(t *testing.T, server, user string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, os.WriteFile(path, fmt.Appendf(nil, `{apiVersion: v1, kind: Config, current-context: here, clusters: [{name: c, cluster: {server: %q}}], users: [{name: u, user: %s}],
  contexts: [{name: here, context: {cluster: c, user: u}}, {name: there, context: {cluster: c, user: u, namespace: shop}}]}`, server, user), 0o600))
	return path
}

func TestConnectSaysWhatAPersonMustSetRight(t *testing.T) {
	t.Setenv("KUBECONFIG", "")
	for _, c := range []struct {
		Cluster
		says string
	}{
		{Cluster{Kubeconfig: filepath.Join(t.TempDir(), "none")}, "unavailable: no cluster is configured: "},
		{Cluster{Kubeconfig: kubeconfig(t, "http://127.0.0.1:1", "{}"), Context: "elsewhere"}, `unavailable: no cluster is configured: context "elsewhere" does not exist`},
		{Cluster{Kubeconfig: kubeconfig(t, "http://127.0.0.1:1", "{as: admin}"), Identity: mcpkit.IdentityCaller}, "unavailable: the kubeconfig acts as admin, and --identity=caller as each caller"},
		{Cluster{Kubeconfig: kubeconfig(t, "https://127.0.0.1:1", "{client-certificate-data: bm8=, client-key-data: bm8=}")}, "unavailable: the cluster's configuration does not work: "},
	} {
		_, err := c.Connect()
		require.ErrorContains(t, err, c.says)
	}
}

func TestBoundRequestsEndWithTheCall(t *testing.T) {
	agents := make(chan string, 1)
	asked := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		agents <- r.UserAgent()
		close(asked)
		<-r.Context().Done()
	}))
	defer server.Close()
	to, err := (&Cluster{Kubeconfig: kubeconfig(t, server.URL, "{}"), Context: "there", UserAgent: "test/1"}).Connect()
	require.NoError(t, err)
	ns, _, err := to.Kubeconfig.Namespace()
	require.NoError(t, err)
	require.Equal(t, "shop", ns)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	r, err := http.NewRequest(http.MethodGet, server.URL, nil)
	require.NoError(t, err)
	_, err = to.Bound(ctx).Transport.RoundTrip(r)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "test/1", <-agents)
}
