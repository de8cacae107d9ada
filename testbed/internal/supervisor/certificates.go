package supervisor

import (
	"os"

	"github.com/toolcrib/toolcrib/testbed/internal/kubeapi"
	"github.com/toolcrib/toolcrib/testbed/internal/pki"
)

// clients are the users that the cluster's own programs act as. The testbed's
// own is left out of the audit log, the admin is not.
var clients = map[string]struct {
	user  string
	group string
}{
	"admin":            {"toolcrib:admin", "system:masters"},
	"testbed":          {"toolcrib:testbed", "system:masters"},
	"controller":       {"system:kube-controller-manager", ""},
	"scheduler":        {"system:kube-scheduler", ""},
	"kubelet":          {"system:node:" + nodeName, "system:nodes"},
	"proxy":            {"system:kube-proxy", ""},
	"apiserver-client": {"system:apiserver", "system:masters"},
	"front-proxy":      {"front-proxy-client", ""},
}

// makePKI writes every certificate, key and kubeconfig the programs need.
func (s *supervisor) makePKI() error {
	dir := s.path(PKIDir)
	ca, err := pki.NewAuthority("toolcrib-testbed")
	if err != nil {
		return err
	}
	if err := ca.WriteTo(dir, "ca"); err != nil {
		return err
	}
	hosts := map[string][]string{
		"apiserver": {
			loopback, NodeIP, "10.96.0.1", "localhost",
			"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		},
		"kubelet-server": {loopback, NodeIP, nodeName},
	}
	for name, h := range hosts {
		server, err := ca.Server(name, h...)
		if err != nil {
			return err
		}
		if err := server.WriteTo(dir, name); err != nil {
			return err
		}
	}
	for name, c := range clients {
		var groups []string
		if c.group != "" {
			groups = []string{c.group}
		}
		pair, err := ca.Client(c.user, groups...)
		if err != nil {
			return err
		}
		if err := pair.WriteTo(dir, name); err != nil {
			return err
		}
		if err := os.WriteFile(s.kubeconfig(name), pki.Kubeconfig(s.address(), ca.Cert, pair), 0o600); err != nil {
			return err
		}
	}
	key, err := pki.ServiceAccountKey()
	if err != nil {
		return err
	}
	return key.WriteTo(dir, "serviceaccount")
}

func (s Spec) kubeconfig(user string) string { return s.path(PKIDir, user+".kubeconfig") }

func (s Spec) cert(name string) string { return s.path(PKIDir, name+".crt") }
func (s Spec) key(name string) string  { return s.path(PKIDir, name+".key") }

// client acts as the testbed itself.
func (s Spec) client() (*kubeapi.Client, error) {
	ca, pair, err := s.pair("testbed")
	if err != nil {
		return nil, err
	}
	return kubeapi.New(s.address(), ca, pair)
}

// writeKubeconfig writes the administrator's kubeconfig for use from outside.
func (s Spec) writeKubeconfig(server string) error {
	ca, pair, err := s.pair("admin")
	if err != nil {
		return err
	}
	return os.WriteFile(s.path(KubeconfigFile), pki.Kubeconfig(server, ca, pair), 0o600)
}

func (s Spec) pair(name string) (ca []byte, p pki.Pair, err error) {
	if ca, err = os.ReadFile(s.cert("ca")); err != nil {
		return nil, p, err
	}
	if p.Cert, err = os.ReadFile(s.cert(name)); err != nil {
		return nil, p, err
	}
	p.Key, err = os.ReadFile(s.key(name))
	return ca, p, err
}
