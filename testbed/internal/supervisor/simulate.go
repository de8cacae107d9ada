package supervisor

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/internal/kubeapi"
	"github.com/toolcrib/toolcrib/testbed/proc"
)

//go:embed files/kwok.yaml
var kwokConfig []byte

const (
	// Simulated pods are created in Deployments of this size, spread over the
	// namespaces scale-0 to scale-9.
	podsPerDeployment   = 100
	simulatedNamespaces = 10
	// fill is raised when what a filled cluster holds changes.
	fill = 1
)

// startKwok starts the kubelet of all simulated nodes.
func (s *supervisor) startKwok() (*proc.Process, error) {
	config := s.path("kwok.yaml")
	if err := os.WriteFile(config, kwokConfig, 0o644); err != nil {
		return nil, err
	}
	ip := loopback
	if s.Tier == Node {
		ip = NodeIP
	}
	return s.procs.Start("kwok", s.Programs["kwok"], "--kubeconfig", s.kubeconfig("testbed"), "--config", config,
		"--manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake", "--node-ip", ip)
}

// simulate adds the nodes and pods and returns when all are running.
func (s *supervisor) simulate(ctx context.Context) error {
	kwok, err := s.startKwok()
	if err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := inParallel(ctx, s.Nodes, func(i int) error { return client.Post(ctx, "/api/v1/nodes", s.simulatedNode(i), nil) }); err != nil {
		return fmt.Errorf("add simulated nodes: %w", err)
	}
	if s.Pods > 0 {
		if err := s.createDeployments(ctx, client); err != nil {
			return fmt.Errorf("add simulated pods: %w", err)
		}
	}
	if err := s.awaitSimulated(ctx, client, kwok); err != nil {
		return err
	}
	s.progress("%d simulated nodes and %d pods after %s", s.Nodes, s.Pods, time.Since(began).Round(100*time.Millisecond))
	return nil
}

// simulatedNode is node i. Beside a real node it takes only pods that ask for it.
func (s *supervisor) simulatedNode(i int) []byte {
	spec := "{}"
	if s.Tier == Node {
		spec = `{"taints": [{"key": "toolcrib.test/simulated", "effect": "NoSchedule"}]}`
	}
	return fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Node", "spec": %[3]s,
		"metadata": {"name": "simulated-%04[1]d", "annotations": {"kwok.x-k8s.io/node": "fake"}, "labels": {
			"toolcrib.test/simulated": "true", "kubernetes.io/hostname": "simulated-%04[1]d", "kubernetes.io/os": "linux",
			"kubernetes.io/arch": "amd64", "topology.kubernetes.io/zone": "zone-%[2]d"}},
		"status": {"allocatable": {"cpu": "32", "memory": "256Gi", "pods": "110"}, "capacity": {"cpu": "32", "memory": "256Gi", "pods": "110"},
			"nodeInfo": {"kubeletVersion": "%[4]s", "operatingSystem": "linux", "architecture": "amd64", "osImage": "simulated",
				"kernelVersion": "simulated", "containerRuntimeVersion": "simulated://1", "bootID": "", "machineID": "", "systemUUID": "", "kubeProxyVersion": ""}}}`,
		i, i%3, spec, build.KubernetesVersion)
}

func (s *supervisor) createDeployments(ctx context.Context, client *kubeapi.Client) error {
	for i := range simulatedNamespaces {
		object := fmt.Appendf(nil, `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "scale-%d"}}`, i)
		if err := client.Post(ctx, "/api/v1/namespaces", object, nil); err != nil {
			return err
		}
	}
	deployments := (s.Pods + podsPerDeployment - 1) / podsPerDeployment
	return inParallel(ctx, deployments, func(i int) error {
		replicas := min(podsPerDeployment, s.Pods-i*podsPerDeployment)
		return client.Post(ctx, fmt.Sprintf("/apis/apps/v1/namespaces/scale-%d/deployments", i%simulatedNamespaces), fmt.Appendf(nil, `{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app-%[1]d", "labels": {"app": "app-%[1]d", "toolcrib.test/simulated": "true"}},
			"spec": {"replicas": %[2]d, "selector": {"matchLabels": {"app": "app-%[1]d"}}, "template": {
				"metadata": {"labels": {"app": "app-%[1]d"}},
				"spec": {"nodeSelector": {"toolcrib.test/simulated": "true"}, "tolerations": [{"operator": "Exists"}],
					"automountServiceAccountToken": false, "enableServiceLinks": false,
					"containers": [{"name": "app", "image": "%[3]s", "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}}}]}}}}`,
			i, replicas, BusyboxImage), nil)
	})
}

// awaitSimulated waits until every node and every pod is ready.
func (s *supervisor) awaitSimulated(ctx context.Context, client *kubeapi.Client, kwok *proc.Process) error {
	told := time.Now()
	ready := func(ctx context.Context) (bool, error) {
		nodes, err := readyNodes(ctx, client)
		if err != nil {
			return false, err
		}
		pods, err := readyPods(ctx, client)
		if err != nil {
			return false, err
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			s.progress("%d of %d simulated pods running", pods, s.Pods)
		}
		return nodes == s.Nodes && pods == s.Pods, fmt.Errorf("%d of %d nodes and %d of %d pods are ready", nodes, s.Nodes, pods, s.Pods)
	}
	return proc.Until(ctx, "the simulated nodes and pods", 200*time.Millisecond, ready, kwok)
}

func readyNodes(ctx context.Context, client *kubeapi.Client) (n int, err error) {
	var list struct {
		Items []struct {
			Status struct {
				Conditions []struct{ Type, Status string }
			}
		}
	}
	err = client.Get(ctx, kubeapi.Query("/api/v1/nodes", "labelSelector", "toolcrib.test/simulated", "resourceVersion", "0"), &list)
	for _, node := range list.Items {
		for _, c := range node.Status.Conditions {
			if c.Type == "Ready" && c.Status == "True" {
				n++
			}
		}
	}
	return n, err
}

// readyPods asks the Deployments, of which there are few.
func readyPods(ctx context.Context, client *kubeapi.Client) (n int, err error) {
	var list struct {
		Items []struct{ Status struct{ ReadyReplicas int } }
	}
	err = client.Get(ctx, kubeapi.Query("/apis/apps/v1/deployments", "labelSelector", "toolcrib.test/simulated"), &list)
	for _, d := range list.Items {
		n += d.Status.ReadyReplicas
	}
	return n, err
}

// inParallel calls f for 0 to n-1, some at a time, and stops at an error.
func inParallel(ctx context.Context, n int, f func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan int)
	var workers sync.WaitGroup
	for range 16 {
		workers.Go(func() {
			for i := range next {
				if err := f(i); err != nil {
					cancel(err)
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	workers.Wait()
	return context.Cause(ctx)
}
