package build

import "fmt"

// KubernetesVersion is what the testbed's cluster runs. 1.36 is the last to
// support cgroup v1.
const KubernetesVersion = "v1.36.4"

const kubernetes = "backends/kubernetes"

// What a cluster is made of. Kube answers to the names of all of Kubernetes'
// own programs, which makes one link of six.
var (
	Etcd = Binary{Name: "etcd", Module: kubernetes}
	Kube = Binary{Name: "kube", Module: kubernetes, LDFlags: stamps(), Links: []string{
		"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
	}}
	Kwok          = Binary{Name: "kwok", Module: kubernetes}
	MetricsServer = Binary{Name: "metrics-server", Module: kubernetes, LDFlags: stamps()}
	CoreDNS       = Binary{Name: "coredns", Module: kubernetes}

	// Supervisor runs a cluster and takes it down with its parent.
	Supervisor = Binary{Name: "toolcrib-testbed", Module: ".", Package: "./cmd/supervisor", Sources: []string{
		"build/*.go", "proc/*.go", "image/*.go", "internal/*/*.go", "internal/*/files/*",
	}}
	// Pause holds a pod's namespaces.
	Pause = Binary{Name: "pause", Module: ".", Package: "./cmd/pause"}
)

// stamps gives the programs the version they are built from: without it
// kubectl and chart checks reject the cluster.
func stamps() string {
	var flags string
	for _, p := range []string{"k8s.io/client-go/pkg/version", "k8s.io/component-base/version"} {
		flags += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=36"+
			" -X %[1]s.gitTreeState=clean -X %[1]s.gitCommit=toolcrib -X %[1]s.buildDate=2026-01-01T00:00:00Z", p, KubernetesVersion)
	}
	return flags
}
