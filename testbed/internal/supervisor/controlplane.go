package supervisor

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/testbed/proc"
)

//go:embed files/audit.yaml
var auditPolicy []byte

const (
	serviceRange = "10.96.0.0/16"
	podRange     = "10.244.0.0/16"
)

// startControlPlane starts etcd, the API server, the controllers and the
// scheduler, and returns when pods can be created.
func (s *supervisor) startControlPlane(ctx context.Context) error {
	if err := os.WriteFile(s.path("audit.yaml"), auditPolicy, 0o644); err != nil {
		return err
	}
	etcd, err := s.startEtcd()
	if err != nil {
		return err
	}
	api, err := s.startAPIServer()
	if err != nil {
		return err
	}
	client, err := s.client()
	if err != nil {
		return err
	}
	began := time.Now()
	ready := func(ctx context.Context) (bool, error) {
		err := client.Get(ctx, "/readyz", nil)
		return err == nil, err
	}
	if err := proc.Until(ctx, "the API server", 50*time.Millisecond, ready, etcd, api); err != nil {
		return err
	}
	s.progress("API server ready after %s", time.Since(began).Round(10*time.Millisecond))
	controller, err := s.startController()
	if err != nil {
		return err
	}
	scheduler, err := s.startScheduler()
	if err != nil {
		return err
	}
	account := func(ctx context.Context) (bool, error) {
		err := client.Get(ctx, "/api/v1/namespaces/default/serviceaccounts/default", nil)
		return err == nil, err
	}
	return proc.Until(ctx, "the controllers", 50*time.Millisecond, account, etcd, api, controller, scheduler)
}

func (s *supervisor) startEtcd() (*proc.Process, error) {
	client := fmt.Sprintf("http://%s:%d", loopback, s.Ports.Etcd)
	peer := fmt.Sprintf("http://%s:%d", loopback, s.Ports.EtcdPeer)
	return s.procs.Start("etcd", s.Programs["etcd"],
		"--data-dir", s.path("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls", client, "--advertise-client-urls", client,
		"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", "default="+peer,
		"--snapshot-count=10000", "--quota-backend-bytes=4294967296", "--auto-compaction-retention=5m")
}

func (s *supervisor) startAPIServer() (*proc.Process, error) {
	bind := loopback
	advertise := loopback
	if s.Tier == Node {
		bind, advertise = "0.0.0.0", NodeIP // pods reach it there; loopback is refused as an endpoint
	}
	args := []string{
		"--etcd-servers", fmt.Sprintf("http://%s:%d", loopback, s.Ports.Etcd),
		"--bind-address", bind, "--advertise-address", advertise, "--secure-port", fmt.Sprint(s.Ports.API),
		"--client-ca-file", s.cert("ca"), "--tls-cert-file", s.cert("apiserver"), "--tls-private-key-file", s.key("apiserver"),
		"--kubelet-certificate-authority", s.cert("ca"), "--kubelet-preferred-address-types=InternalIP,Hostname",
		"--kubelet-client-certificate", s.cert("apiserver-client"), "--kubelet-client-key", s.key("apiserver-client"),
		"--service-account-key-file", s.cert("serviceaccount"), "--service-account-signing-key-file", s.key("serviceaccount"),
		"--service-cluster-ip-range", serviceRange, "--allow-privileged=true",
		"--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
		"--requestheader-client-ca-file", s.cert("ca"), "--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User", "--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file", s.cert("front-proxy"), "--proxy-client-key-file", s.key("front-proxy"),
		"--audit-policy-file", s.path("audit.yaml"), "--audit-log-path", s.path(AuditFile),
		"--audit-log-mode=blocking", "--audit-log-maxsize=1000000", // one file: readers keep offsets
		"--profiling=false",
	}
	if !slices.ContainsFunc(s.APIServerArgs, func(arg string) bool { return strings.HasPrefix(arg, "--service-account-issuer=") }) {
		args = append(args, "--service-account-issuer=https://kubernetes.default.svc") // of several the first is the one that tokens name
	}
	if s.Tier == Scale {
		args = append(args, "--max-requests-inflight=4000", "--max-mutating-requests-inflight=2000", "--event-ttl=10m")
	}
	return s.procs.Start("kube-apiserver", s.Programs["kube-apiserver"], append(args, s.APIServerArgs...)...)
}

// as makes a control plane program act as a user. The rate is what keeps
// start-up from taking five seconds more.
func (s *supervisor) as(user string) []string {
	k := s.kubeconfig(user)
	return []string{
		"--kubeconfig", k, "--authentication-kubeconfig", k, "--authorization-kubeconfig", k,
		"--leader-elect=false", "--bind-address", loopback, "--secure-port=0", "--profiling=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	}
}

func (s *supervisor) startController() (*proc.Process, error) {
	args := append(s.as("controller"),
		"--use-service-account-credentials", "--service-account-private-key-file", s.key("serviceaccount"),
		"--root-ca-file", s.cert("ca"), "--cluster-signing-cert-file", s.cert("ca"), "--cluster-signing-key-file", s.key("ca"),
		"--service-cluster-ip-range", serviceRange, "--cluster-cidr", podRange, "--allocate-node-cidrs=false",
		"--flex-volume-plugin-dir", s.path("flex"))
	if s.Nodes > 0 {
		args = append(args, "--node-monitor-grace-period=1h") // simulated nodes have no leases, and say seldom that they are ready
	}
	return s.procs.Start("kube-controller-manager", s.Programs["kube-controller-manager"], args...)
}

func (s *supervisor) startScheduler() (*proc.Process, error) {
	return s.procs.Start("kube-scheduler", s.Programs["kube-scheduler"], s.as("scheduler")...)
}
