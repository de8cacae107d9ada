package testbed

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/toolcrib/toolcrib/testbed/image"
	"github.com/toolcrib/toolcrib/testbed/shop"
)

const pods = `
apiVersion: v1
kind: Namespace
metadata: {name: pods}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: default, namespace: pods}
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: pods, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: web
    image: toolcrib.test/busybox:1
    command: [sh, -c, 'echo listening; mkdir /www; echo hello > /www/index.html; exec httpd -f -p 8080 -h /www']
    readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: pods}
spec:
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
---
apiVersion: v1
kind: Pod
metadata: {name: crash, namespace: pods}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: crash, image: toolcrib.test/busybox:1, command: [sh, -c, 'echo giving up; exit 3']}]
---
apiVersion: v1
kind: Pod
metadata: {name: unknown, namespace: pods}
spec:
  terminationGracePeriodSeconds: 0
  containers: [{name: unknown, image: registry.example/nothing:1}]
`

func TestPods(t *testing.T) {
	t.Parallel()
	require.NoError(t, node.Apply(limit(t), []byte(pods)))
	prints(t, []string{"True"}, "get", "pod", "web", "-n", "pods", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)

	require.Equal(t, "listening", output(t, "logs", "web", "-n", "pods"))
	require.Equal(t, "hello", output(t, "exec", "web", "-n", "pods", "--", "cat", "/www/index.html"))
	prints(t, []string{"hello"}, "exec", "web", "-n", "pods", "--", "wget", "-qO-", "http://web.pods.svc.cluster.local")

	prints(t, []string{"ErrImagePull", "ImagePullBackOff"}, "get", "pod", "unknown", "-n", "pods", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}")
	prints(t, []string{"2", "3", "4", "5", "6", "7", "8", "9"}, "get", "pod", "crash", "-n", "pods", "-o", "jsonpath={.status.containerStatuses[0].restartCount}")
	require.Equal(t, "3", output(t, "get", "pod", "crash", "-n", "pods", "-o", "jsonpath={.status.containerStatuses[0].lastState.terminated.exitCode}"))
	prints(t, []string{"giving up"}, "logs", "crash", "-n", "pods", "--previous") // the container before last is removed at times

	eventually(t, func() string {
		top, err := node.Kubectl(limit(t), "top", "pod", "web", "-n", "pods", "--no-headers")
		if err == nil && strings.HasPrefix(string(top), "web") {
			return ""
		}
		return "metrics of pod web"
	})
}

func TestDial(t *testing.T) {
	require.NoError(t, node.Apply(limit(t), []byte(pods)))
	prints(t, []string{"True"}, "get", "pod", "web", "-n", "pods", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	client := http.Client{Transport: &http.Transport{DialContext: node.Dial}}
	url := "http://" + net.JoinHostPort(output(t, "get", "service", "web", "-n", "pods", "-o", "jsonpath={.spec.clusterIP}"), "80")
	eventually(t, func() string {
		resp, err := client.Get(url)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, "hello\n", string(body))
		return ""
	})
}

func TestListen(t *testing.T) {
	require.NoError(t, node.Apply(limit(t), []byte(pods)))
	prints(t, []string{"True"}, "get", "pod", "web", "-n", "pods", "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`)
	l, err := node.Listen(limit(t))
	require.NoError(t, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "from outside") })}
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	go func() { _ = server.Serve(l) }()
	require.Equal(t, "from outside", output(t, "exec", "web", "-n", "pods", "--", "wget", "-qO-", "http://"+l.Addr().String()))
}

func TestLoad(t *testing.T) {
	require.NoError(t, node.Load(limit(t), image.Image{
		Name: "toolcrib.test/ours:1", Files: map[string]string{"bin/cat": node.state.Runtime.Path("bin/busybox")},
		Data: map[string][]byte{"etc/motd": []byte("made of files\n")}, Entrypoint: []string{"/bin/cat", "/etc/motd"}, User: "65534",
	}))
	output(t, "run", "ours", "--image=toolcrib.test/ours:1", "--restart=Never")
	prints(t, []string{"Succeeded"}, "get", "pod", "ours", "-o", "jsonpath={.status.phase}")
	require.Equal(t, "made of files", output(t, "logs", "ours"))
}

func TestSimulatedNodes(t *testing.T) {
	require.Equal(t, "True True", output(t, "get", "nodes", "-l", "toolcrib.test/simulated", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`))
}

func TestShop(t *testing.T) {
	t.Parallel()
	require.NoError(t, node.Apply(limit(t), shop.Manifests))
	jsonpath := func(app, path string) []string {
		return []string{"get", "pods", "-n", shop.Namespace, "-l", "app=" + app, "-o", "jsonpath={.items[0].status." + path + "}"}
	}
	prints(t, []string{"1"}, jsonpath("checkout", "containerStatuses[0].lastState.terminated.exitCode")...)
	prints(t, []string{"ErrImagePull", "ImagePullBackOff"}, jsonpath("catalog", "containerStatuses[0].state.waiting.reason")...)
	prints(t, []string{"Unschedulable"}, jsonpath("orders", `conditions[?(@.type=="PodScheduled")].reason`)...)
	prints(t, []string{"2"}, "get", "deployment", "cart", "-n", shop.Namespace, "-o", "jsonpath={.status.readyReplicas}")
	prints(t, []string{"1"}, "get", "deployment", "payments", "-n", shop.Namespace, "-o", "jsonpath={.status.readyReplicas}")
	require.Empty(t, output(t, "get", "endpointslices", "-n", shop.Namespace, "-l", "kubernetes.io/service-name=payments", "-o", "jsonpath={.items[*].endpoints[*].addresses}"))
	prints(t, []string{"1"}, "get", "deployment", "frontend", "-n", shop.Namespace, "-o", "jsonpath={.status.readyReplicas}")

	require.NoError(t, node.Apply(limit(t), shop.Rollout))
	prints(t, []string{"2 2"}, "get", "deployment", "frontend", "-n", shop.Namespace, "-o", "jsonpath={.status.updatedReplicas} {.status.readyReplicas}")
	require.Len(t, strings.Fields(output(t, "get", "replicasets", "-n", shop.Namespace, "-l", "app=frontend", "-o", "name")), 2)
}
