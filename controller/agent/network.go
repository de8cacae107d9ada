package agent

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/labels"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// endpoint is where a model is reached.
func endpoint(s kagent.ModelConfigSpec) string {
	var own, known string
	switch s.Provider {
	case kagent.ProviderAnthropic:
		known = "https://api.anthropic.com"
		if s.Anthropic != nil {
			own = s.Anthropic.BaseURL
		}
	case kagent.ProviderOpenAI:
		known = "https://api.openai.com"
		if s.OpenAI != nil {
			own = s.OpenAI.BaseURL
		}
	case kagent.ProviderAzureOpenAI:
		own = s.AzureOpenAI.Endpoint
	case kagent.ProviderOllama:
		own = s.Ollama.Host
	case kagent.ProviderGemini:
		known = "https://generativelanguage.googleapis.com"
	}
	if own != "" {
		return own
	}
	return known
}

// origin is the scheme, host and port of a URL.
func origin(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return ""
	}
	number := u.Port()
	if number == "" {
		number = map[string]string{"https": "443", "http": "80"}[strings.ToLower(u.Scheme)]
	}
	host := strings.ToLower(u.Hostname())
	odd := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-_:", r) }
	scheme := strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" || number == "" || host == "" || strings.ContainsFunc(host, odd) {
		return "" // no policy can name it
	}
	if strings.Contains(host, ":") && net.ParseIP(host) == nil {
		return ""
	}
	return scheme + "://" + net.JoinHostPort(host, number)
}

// confine holds the agent's pods to what they need: questions and scrapes at
// their ports, and out to names, the API server, the model, the tool servers and agents of
// every revision that has pods.
func (r *Reconciler) confine(ctx context.Context, w *work) error {
	urls, err := r.reached(ctx, w)
	if err != nil {
		return err
	}
	api, err := r.apiServer(ctx)
	if err != nil {
		return err
	}
	egress := append([]networkingv1.NetworkPolicyEgressRule{{Ports: append(ports(corev1.ProtocolUDP, 53), ports(corev1.ProtocolTCP, 53)...)}}, api...)
	for _, u := range urls {
		rule, err := r.wayOut(ctx, w.Namespace, u)
		if err != nil {
			return err
		}
		egress = append(egress, rule)
	}
	policy := &networkingv1.NetworkPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: w.Name},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: metav1.LabelSelector{MatchLabels: map[string]string{labels.Agent: w.Name, labels.ManagedBy: labels.Us}},
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     r.wayIn(),
			Egress:      egress,
		},
	}
	if err := r.own(w, policy); err != nil {
		return err
	}
	return w.apply.Apply(ctx, policy)
}

// wayIn is for everybody who asks, as the agent knows who may, and for whoever
// may read metrics, which it does not.
func (r *Reconciler) wayIn() []networkingv1.NetworkPolicyIngressRule {
	in := []networkingv1.NetworkPolicyIngressRule{{Ports: ports(corev1.ProtocolTCP, port)}}
	if len(r.options.Monitoring) > 0 {
		in = append(in, networkingv1.NetworkPolicyIngressRule{Ports: ports(corev1.ProtocolTCP, metricsPort), From: r.options.Monitoring})
	}
	return in
}

// reached are the URLs that the revisions with pods must reach.
func (r *Reconciler) reached(ctx context.Context, w *work) ([]string, error) {
	out := slices.Clone(w.reach)
	revisions, _ := w.active()
	for _, revision := range revisions {
		m, err := r.configuration(ctx, client.ObjectKey{Namespace: w.Namespace, Name: configurationName(w.Name, revision)})
		if client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("read the configuration of revision %s: %w", revision, err)
		}
		out = append(out, strings.Fields(m.GetAnnotations()[reach])...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// apiServer is the way to the API server: to its Service, and to the addresses
// behind it, as network plugins differ in which of the two they see.
func (r *Reconciler) apiServer(ctx context.Context) ([]networkingv1.NetworkPolicyEgressRule, error) {
	var slicesOf discoveryv1.EndpointSliceList
	if err := r.List(ctx, &slicesOf, client.InNamespace(metav1.NamespaceDefault)); err != nil {
		return nil, fmt.Errorf("list the API server's addresses: %w", err)
	}
	var service corev1.Service
	if err := r.Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceDefault, Name: "kubernetes"}, &service); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("read the API server's Service: %w", err)
	}
	var out []networkingv1.NetworkPolicyEgressRule
	add := func(addresses []string, numbers ...int32) {
		var peers []networkingv1.NetworkPolicyPeer
		for _, a := range slices.Sorted(slices.Values(addresses)) {
			peers = append(peers, block(a)...)
		}
		if len(peers) > 0 && len(numbers) > 0 {
			out = append(out, networkingv1.NetworkPolicyEgressRule{To: peers, Ports: ports(corev1.ProtocolTCP, numbers...)})
		}
	}
	add(service.Spec.ClusterIPs, 443)
	for _, s := range slicesOf.Items {
		var addresses []string
		for _, e := range s.Endpoints {
			addresses = append(addresses, e.Addresses...)
		}
		var numbers []int32
		for _, p := range s.Ports {
			if p.Port != nil {
				numbers = append(numbers, *p.Port)
			}
		}
		add(addresses, numbers...)
	}
	return out, nil
}

// wayOut is the way to a URL: to the pods of a Service of the cluster, to an
// address, or to any address for names outside.
func (r *Reconciler) wayOut(ctx context.Context, namespace, text string) (networkingv1.NetworkPolicyEgressRule, error) {
	u, err := url.Parse(text)
	if err != nil {
		return networkingv1.NetworkPolicyEgressRule{}, fmt.Errorf("read URL: %w", err)
	}
	n, err := strconv.ParseInt(u.Port(), 10, 32)
	if err != nil {
		return networkingv1.NetworkPolicyEgressRule{}, fmt.Errorf("read the port of %s: %w", text, err)
	}
	number := int32(n)
	if peers := block(u.Hostname()); peers != nil {
		return networkingv1.NetworkPolicyEgressRule{To: peers, Ports: ports(corev1.ProtocolTCP, number)}, nil
	}
	name, in, sure := serviceOf(u.Hostname(), namespace)
	if name == "" {
		return networkingv1.NetworkPolicyEgressRule{To: anywhere(), Ports: ports(corev1.ProtocolTCP, number)}, nil
	}
	var service corev1.Service
	err = r.Get(ctx, client.ObjectKey{Namespace: in, Name: name}, &service)
	switch {
	case err == nil && len(service.Spec.Selector) > 0:
		return networkingv1.NetworkPolicyEgressRule{To: pods(in, service.Spec.Selector), Ports: behind(&service, number)}, nil
	case client.IgnoreNotFound(err) != nil:
		return networkingv1.NetworkPolicyEgressRule{}, fmt.Errorf("read Service %s/%s: %w", in, name, err)
	case apierrors.IsNotFound(err) && sure: // until it is there
		return networkingv1.NetworkPolicyEgressRule{To: pods(in, nil), Ports: ports(corev1.ProtocolTCP, number)}, nil
	default:
		return networkingv1.NetworkPolicyEgressRule{To: anywhere(), Ports: ports(corev1.ProtocolTCP, number)}, nil
	}
}

// serviceOf is the Service that a host name may mean, none for one that can only
// be outside, and whether it can mean nothing else.
func serviceOf(host, namespace string) (name, in string, sure bool) {
	parts := strings.Split(strings.TrimSuffix(host, "."), ".")
	switch {
	case len(parts) == 1:
		return parts[0], namespace, false
	case len(parts) >= 3 && parts[2] == "svc":
		return parts[0], parts[1], true
	case len(parts) == 2:
		return parts[0], parts[1], false
	default:
		return "", "", false
	}
}

// behind are the ports of pods that a port of their Service leads to.
func behind(service *corev1.Service, number int32) []networkingv1.NetworkPolicyPort {
	for _, p := range service.Spec.Ports {
		if p.Port == number && p.TargetPort != (intstr.IntOrString{}) && service.Spec.ClusterIP != corev1.ClusterIPNone {
			return []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP), Port: new(p.TargetPort)}}
		}
	}
	return ports(corev1.ProtocolTCP, number)
}

func pods(namespace string, selector map[string]string) []networkingv1.NetworkPolicyPeer {
	peer := networkingv1.NetworkPolicyPeer{NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: namespace}}}
	if selector != nil {
		peer.PodSelector = &metav1.LabelSelector{MatchLabels: selector}
	}
	return []networkingv1.NetworkPolicyPeer{peer}
}

// anywhere is any address but those where clouds keep their machines' keys.
func anywhere() []networkingv1.NetworkPolicyPeer {
	return []networkingv1.NetworkPolicyPeer{
		{IPBlock: &networkingv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"169.254.0.0/16"}}},
		{IPBlock: &networkingv1.IPBlock{CIDR: "::/0", Except: []string{"fe80::/10"}}},
	}
}

func block(address string) []networkingv1.NetworkPolicyPeer {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return nil
	}
	return []networkingv1.NetworkPolicyPeer{{IPBlock: &networkingv1.IPBlock{CIDR: netip.PrefixFrom(a.WithZone(""), a.BitLen()).String()}}}
}

func ports(protocol corev1.Protocol, numbers ...int32) []networkingv1.NetworkPolicyPort {
	var out []networkingv1.NetworkPolicyPort
	for _, n := range numbers {
		out = append(out, networkingv1.NetworkPolicyPort{Protocol: new(protocol), Port: new(intstr.FromInt32(n))})
	}
	return out
}
