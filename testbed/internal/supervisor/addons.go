package supervisor

import (
	"context"
	"fmt"

	"github.com/toolcrib/toolcrib/testbed/internal/kubeapi"
)

const metricsPort = 4443

// addons are the Kubernetes objects behind which the cluster's DNS and metrics
// run, as processes beside the kubelet.
var addons = []struct{ path, object string }{
	{"/api/v1/namespaces/kube-system/services/kube-dns", `{
		"apiVersion": "v1", "kind": "Service",
		"metadata": {"name": "kube-dns", "namespace": "kube-system", "labels": {"k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS"}},
		"spec": {"clusterIP": "10.96.0.10", "ports": [
			{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}}`},
	{"/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices/kube-dns-node", `{
		"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
		"metadata": {"name": "kube-dns-node", "namespace": "kube-system", "labels": {"kubernetes.io/service-name": "kube-dns"}},
		"addressType": "IPv4", "endpoints": [{"addresses": ["` + NodeIP + `"], "conditions": {"ready": true}}],
		"ports": [{"name": "dns", "port": 53, "protocol": "UDP"}, {"name": "dns-tcp", "port": 53, "protocol": "TCP"}]}`},
	{"/api/v1/namespaces/kube-system/services/metrics-server", fmt.Sprintf(`{
		"apiVersion": "v1", "kind": "Service", "metadata": {"name": "metrics-server", "namespace": "kube-system"},
		"spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": %d, "protocol": "TCP"}]}}`, metricsPort)},
	{"/apis/apiregistration.k8s.io/v1/apiservices/v1beta1.metrics.k8s.io", fmt.Sprintf(`{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1beta1.metrics.k8s.io"},
		"spec": {"group": "metrics.k8s.io", "version": "v1beta1", "insecureSkipTLSVerify": true,
			"groupPriorityMinimum": 100, "versionPriority": 100,
			"service": {"name": "metrics-server", "namespace": "kube-system", "port": %d}}}`, metricsPort)},
}

// startAddons starts CoreDNS and metrics-server. Nothing waits for them: DNS
// answers in a moment, and metrics take two scrapes.
func (s *supervisor) startAddons(ctx context.Context) error {
	if _, err := s.procs.Start("coredns", s.Programs["coredns"], "-conf", Root+"/Corefile"); err != nil {
		return err
	}
	k := s.kubeconfig("testbed")
	if _, err := s.procs.Start("metrics-server", s.Programs["metrics-server"],
		"--kubeconfig", k, "--authentication-kubeconfig", k, "--authorization-kubeconfig", k,
		"--bind-address", loopback, "--secure-port", fmt.Sprint(metricsPort), "--cert-dir", Root+"/metrics-certs",
		"--kubelet-insecure-tls", "--kubelet-use-node-status-port", "--kubelet-preferred-address-types=InternalIP",
		"--metric-resolution=10s", "--kubelet-request-timeout=5s"); err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	return applyAddons(ctx, client)
}

func applyAddons(ctx context.Context, client *kubeapi.Client) error {
	for _, a := range addons {
		if err := client.Apply(ctx, a.path, []byte(a.object)); err != nil {
			return fmt.Errorf("apply an addon: %w", err)
		}
	}
	return nil
}
