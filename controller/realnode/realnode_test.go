package realnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller"
	"github.com/toolcrib/toolcrib/controller/controllertest"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/image"
	"github.com/toolcrib/toolcrib/testbed/proc"
	"github.com/toolcrib/toolcrib/testbed/served"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var (
	node  *testbed.Cluster
	admin client.Client
)

const agentImage = "toolcrib.test/stand-in:1"

func TestMain(m *testing.M) {
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	code := testbed.Main(m, testbed.Options{Tier: testbed.Node}, func(c *testbed.Cluster) {
		node = c
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute)
		defer cancel()
		options, err := prepare(ctx)
		if err != nil {
			panic(err)
		}
		go func() { ended <- controller.Run(running, options) }()
	})
	stop()
	if err := <-ended; err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// prepare loads the image and installs what the controller needs.
func prepare(ctx context.Context) (o controller.Options, err error) {
	program, err := served.Build("./testdata/agent")
	if err != nil {
		return o, err
	}
	defer os.Remove(program)
	if err := node.Load(ctx, image.Image{Name: agentImage, Files: map[string]string{"/agent": program}, Entrypoint: []string{"/agent"}}); err != nil {
		return o, err
	}
	config, err := clientcmd.BuildConfigFromFlags("", node.Kubeconfig)
	if err != nil {
		return o, err
	}
	if admin, err = client.New(config, client.Options{Scheme: controller.Scheme()}); err != nil {
		return o, err
	}
	kubeconfig, err := controllertest.Install(ctx, node, "../../charts")
	return controller.Options{
		Kubeconfig: kubeconfig, MetricsAddress: "0", ProbesAddress: "0", LogLevel: "error", Workers: 4,
		AgentImage: agentImage, AgentImagePullPolicy: "Never",
	}, err
}

const objects = `
apiVersion: v1
kind: Namespace
metadata: {name: agents, labels: {pod-security.kubernetes.io/enforce: restricted}}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: agents}
stringData: {k: the-key}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: default-model-config, namespace: agents}
spec: {provider: openai, model: m, apiKeySecretRef: {name: key, key: k}}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: tools, namespace: agents, annotations: {toolcrib.dev/audience: tools.agents.svc}}
spec: {description: d, url: "http://tools.agents.svc:8080/mcp"}
---
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: real, namespace: agents}
spec: {declarative: {systemMessage: One., tools: [{mcpServer: {name: tools, toolNames: [look]}}]}}
`

func limit(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// becomes waits until the Agent's condition is as told and says so, and returns
// the Agent.
func becomes(t *testing.T, kind string, status metav1.ConditionStatus, reason, says string) (a kagent.Agent) {
	t.Helper()
	err := proc.Until(limit(t), kind, 100*time.Millisecond, func(ctx context.Context) (bool, error) {
		if err := admin.Get(ctx, client.ObjectKey{Namespace: "agents", Name: "real"}, &a); err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(a.Status.Conditions, kind)
		return c != nil && c.Status == status && c.Reason == reason && c.ObservedGeneration == a.Generation && strings.Contains(c.Message, says), nil
	})
	require.NoError(t, err, "%+v", a.Status.Conditions)
	return a
}

// who waits until the agent's Service answers what it is to say: the node hears
// of new pods a moment after they are ready, and of those that end as late.
func who(t *testing.T, says ...string) {
	t.Helper()
	out, err := node.Kubectl(limit(t), "-n", "agents", "get", "service", "real", "-o", "jsonpath={.spec.clusterIP}")
	require.NoError(t, err)
	h := &http.Client{Transport: &http.Transport{DialContext: node.Dial, DisableKeepAlives: true}}
	require.NoError(t, proc.Until(limit(t), "the Service to answer", 100*time.Millisecond, func(context.Context) (bool, error) {
		response, err := h.Get("http://" + string(out) + ":8080/who")
		if err != nil {
			return false, err
		}
		defer response.Body.Close()
		answer, err := io.ReadAll(response.Body)
		for _, part := range says {
			if !strings.Contains(string(answer), part) {
				return false, errors.Join(err, fmt.Errorf("it does not say %q: %s", part, answer))
			}
		}
		return err == nil, err
	}))
}

func TestAnAgentOnARealNode(t *testing.T) {
	require.NoError(t, node.Apply(limit(t), []byte(objects)))
	a := becomes(t, "RolledOut", metav1.ConditionTrue, "Complete", "")
	one := a.Status.Revision
	who(t, "uid 65532", "systemMessage: One.", "the-key <nil>", "token true <nil>", "tmp <nil>", "root open /written: read-only file system")

	// An image that is nowhere leaves the earlier revision serving.
	patch := func(text string) {
		t.Helper()
		require.NoError(t, admin.Patch(limit(t), &a, client.RawPatch("application/merge-patch+json", []byte(text))))
	}
	patch(`{"spec":{"declarative":{"systemMessage":"Two.","deployment":{"imageRegistry":"nowhere.test","imagePullPolicy":"IfNotPresent"}}}}`)
	becomes(t, "RolledOut", metav1.ConditionFalse, "PodsNotReady", "ImagePullBackOff: image nowhere.test/stand-in:1 cannot be pulled")
	a = becomes(t, "Ready", metav1.ConditionTrue, "EarlierRevisionServes", "")
	require.Equal(t, one, a.Status.Revision)
	who(t, "systemMessage: One.")

	// A good one replaces it, and rollout undo brings the first back.
	patch(`{"spec":{"declarative":{"systemMessage":"Three.","deployment":null}}}`)
	becomes(t, "RolledOut", metav1.ConditionTrue, "Complete", "")
	who(t, "systemMessage: Three.")
	_, err := node.Kubectl(limit(t), "-n", "agents", "rollout", "undo", "deployment/real", "--to-revision=1")
	require.NoError(t, err)
	becomes(t, "RolledBack", metav1.ConditionTrue, "Undone", "")
	_, err = node.Kubectl(limit(t), "-n", "agents", "rollout", "status", "deployment/real", "--timeout=10m")
	require.NoError(t, err)
	who(t, "systemMessage: One.")
}
