package kubernetes

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/yaml"
)

// policy reads the spec of a NetworkPolicy of namespace shop.
func policy(t testing.TB, name, spec string) *networkingv1.NetworkPolicy {
	t.Helper()
	p := &networkingv1.NetworkPolicy{}
	p.Name, p.Namespace = name, "shop"
	require.NoError(t, yaml.UnmarshalStrict([]byte(spec), &p.Spec))
	return p
}

func TestNetworkPoliciesDecideIngress(t *testing.T) {
	web := policyEnd{name: "web", namespace: "shop", labels: labels.Set{"app": "web"}, ips: []string{"10.1.0.5"},
		ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8080}, {Name: "dns", ContainerPort: 8080, Protocol: corev1.ProtocolUDP}}}
	near := policyEnd{name: "near", namespace: "shop", namespaceLabels: labels.Set{"team": "a"}, labels: labels.Set{"role": "front"}, ips: []string{"10.1.0.9"}}
	far := policyEnd{name: "far", namespace: "other", namespaceLabels: labels.Set{"team": "b"}, labels: labels.Set{"role": "front"}, ips: []string{"10.2.0.9", "fd00::9"}}
	host := far
	host.hostNetwork = true
	for _, c := range []struct {
		name, spec string
		from       policyEnd
		allowed    bool
	}{
		{"another pod's policy", `{podSelector: {matchLabels: {app: db}}}`, far, true},
		{"deny all", `{podSelector: {}}`, near, false},
		{"types absent means ingress", `{podSelector: {matchLabels: {app: web}}, egress: [{}]}`, near, false},
		{"egress alone", `{podSelector: {}, policyTypes: [Egress]}`, near, true},
		{"an empty rule lets everybody in", `{podSelector: {}, ingress: [{}]}`, far, true},
		{"a rule without peers is for the port", `{podSelector: {}, ingress: [{ports: [{port: 8080}]}]}`, far, true},
		{"another port", `{podSelector: {}, ingress: [{ports: [{port: 80}]}]}`, far, false},
		{"another protocol", `{podSelector: {}, ingress: [{ports: [{port: 8080, protocol: UDP}]}]}`, far, false},
		{"every port of the protocol", `{podSelector: {}, ingress: [{ports: [{protocol: TCP}]}]}`, far, true},
		{"a range", `{podSelector: {}, ingress: [{ports: [{port: 8000, endPort: 8080}]}]}`, far, true},
		{"below a range", `{podSelector: {}, ingress: [{ports: [{port: 8081, endPort: 9000}]}]}`, far, false},
		{"a port by name", `{podSelector: {}, ingress: [{ports: [{port: http}]}]}`, far, true},
		{"a port by another's name", `{podSelector: {}, ingress: [{ports: [{port: dns}]}]}`, far, false},
		{"a pod of the namespace", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {role: front}}}]}]}`, near, true},
		{"a pod selector does not leave the namespace", `{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {role: front}}}]}]}`, far, false},
		{"a namespace", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}]}]}`, far, true},
		{"every namespace", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}`, far, true},
		{"namespace and pod, both", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}, podSelector: {matchLabels: {role: back}}}]}]}`, far, false},
		{"namespace or pod, either", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: b}}}, {podSelector: {matchLabels: {role: back}}}]}]}`, far, true},
		{"an address", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.2.0.0/16}}]}]}`, far, true},
		{"an address of the second family", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: "fd00::/64"}}]}]}`, far, true},
		{"an excepted address", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.2.0.0/24]}}]}]}`, near, true},
		{"an excepted address of the source", `{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/24]}}]}]}`, near, false},
		{"peer right, port wrong", `{podSelector: {}, ingress: [{from: [{podSelector: {}}], ports: [{port: 1}]}, {from: [{namespaceSelector: {}}], ports: [{port: 2}]}]}`, near, false},
		{"selectors do not see the host network", `{podSelector: {}, ingress: [{from: [{namespaceSelector: {}}]}]}`, host, false},
		{"expressions", `{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}`, near, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			traffic := policyTraffic{from: c.from, to: web, port: 8080, protocol: corev1.ProtocolTCP}
			d := traffic.ingress([]*networkingv1.NetworkPolicy{policy(t, "p", c.spec)})
			require.Equal(t, c.allowed, d.allowed())
			deny := policy(t, "deny", `{podSelector: {}}`)
			require.Equal(t, c.allowed && d.by != "", traffic.ingress([]*networkingv1.NetworkPolicy{deny, policy(t, "p", c.spec)}).allowed(), "policies add up")
		})
	}
	elsewhere := policy(t, "deny", `{podSelector: {}}`)
	elsewhere.Namespace = "other"
	require.True(t, policyTraffic{from: far, to: web, port: 8080, protocol: corev1.ProtocolTCP}.ingress([]*networkingv1.NetworkPolicy{elsewhere}).allowed())
}

func TestNetworkPoliciesDecideEgress(t *testing.T) {
	from := policyEnd{name: "front", namespace: "shop", labels: labels.Set{"app": "front"}, hostIPs: []string{"192.0.2.7"}}
	db := policyEnd{name: "db", namespace: "data", namespaceLabels: labels.Set{"team": "d"}, labels: labels.Set{"app": "db"}, ips: []string{"10.3.0.1"},
		ports: []corev1.ContainerPort{{Name: "sql", ContainerPort: 5432}}}
	outside := policyEnd{outside: true, ips: []string{"192.0.2.1"}}
	for _, c := range []struct {
		name, spec string
		to         policyEnd
		allowed    bool
	}{
		{"none for egress", `{podSelector: {}, policyTypes: [Ingress]}`, db, true},
		{"types absent, no egress rules", `{podSelector: {}}`, db, true},
		{"deny all", `{podSelector: {}, policyTypes: [Egress]}`, db, false},
		{"port by the target's name", `{podSelector: {}, egress: [{to: [{namespaceSelector: {matchLabels: {team: d}}}], ports: [{port: sql}]}]}`, db, true},
		{"a pod selector does not leave the namespace", `{podSelector: {}, egress: [{to: [{podSelector: {}}]}]}`, db, false},
		{"outside by address", `{podSelector: {}, egress: [{to: [{ipBlock: {cidr: 192.0.2.0/24}}]}]}`, outside, true},
		{"outside is no pod", `{podSelector: {}, egress: [{to: [{namespaceSelector: {}}]}]}`, outside, false},
		{"its own node", `{podSelector: {}, policyTypes: [Egress]}`, policyEnd{outside: true, ips: []string{"192.0.2.7"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			traffic := policyTraffic{from: from, to: c.to, port: 5432, protocol: corev1.ProtocolTCP}
			require.Equal(t, c.allowed, traffic.egress([]*networkingv1.NetworkPolicy{policy(t, "p", c.spec)}).allowed())
		})
	}
}

func FuzzInBlock(f *testing.F) {
	f.Add("10.0.0.0/8", "10.1.0.0/16", "10.2.3.4")
	f.Add("::/0", "", "::ffff:1.2.3.4")
	f.Add("10.0.0.0/99", "x", "fe80::1%eth0")
	f.Fuzz(func(t *testing.T, cidr, except, ip string) {
		block := &networkingv1.IPBlock{CIDR: cidr, Except: []string{cidr, except}}
		require.False(t, inBlock(block, ip), "what is excepted whole holds nothing")
	})
}
