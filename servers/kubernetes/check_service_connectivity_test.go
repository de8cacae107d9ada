package kubernetes

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
	"github.com/toolcrib/toolcrib/mcpkit/mcptest"
	corev1 "k8s.io/api/core/v1"
)

// connect calls the tool and returns its answer with each check's result and
// evidence by its name.
func connect(t testing.TB, s *mcptest.Session, args map[string]any) (CheckServiceConnectivityOut, map[string]string) {
	t.Helper()
	var out CheckServiceConnectivityOut
	s.Call("k8s_check_service_connectivity", args).Into(t, &out)
	checks := map[string]string{}
	for _, row := range out.Checks.Rows {
		checks[row[0]] = row[1] + ": " + row[2]
	}
	return out, checks
}

const backend = `
{apiVersion: v1, kind: Service, metadata: {name: web}, spec: {selector: {app: web}, sessionAffinity: ClientIP, ports: [{name: http, port: 80, targetPort: web}, {name: admin, port: 81, targetPort: 9090}]}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: app
        image: toolcrib.test/busybox:1
        command: [sh, -c, 'echo hi > /tmp/index.html; exec httpd -f -p 8080 -h /tmp']
        ports: [{name: web, containerPort: 8080}]
        readinessProbe: {httpGet: {port: web, path: /index.html}, periodSeconds: 1}`

// serving waits until a service has n ready endpoints.
func serving(t testing.TB, s *mcptest.Session, ns, service, want string) {
	t.Helper()
	within(t, service+" serves", func() bool {
		_, checks := connect(t, s, map[string]any{"service_name": service, "namespace": ns})
		return strings.HasPrefix(checks["endpoints"], want)
	})
}

func TestCheckServiceConnectivityOfAServiceThatWorks(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := serve(t, granted(t, checkServiceConnectivity.Rules...), mcpkit.AccessRead, nil)
	apply(t, ns, backend)
	serving(t, s, ns, "web", "ok: 2 ready endpoints, 0 not ready")
	out, checks := connect(t, s, map[string]any{"service_name": "web." + ns + ".svc.cluster.local:http"})
	require.Equal(t, "reachable as far as the API shows: service web of namespace "+ns, out.Verdict)
	require.Empty(t, out.NotLooked)
	require.Regexp(t, `^ok: ClusterIP [\d.:a-f]+, ports 80->web/TCP, 81->9090/TCP$`, checks["address"])
	require.Regexp(t, `^ok: app=web selects 2 pods, such as web-`, checks["selector"])
	require.Equal(t, "ok: 2 of 2 pods ready", checks["readiness"])
	require.Equal(t, "ok: -> web (8080)/TCP; a readiness probe of that port passes", checks["port 80"])
	require.Equal(t, "ok: ClientIP: a client stays with one pod for 3h after its last connection", checks["affinity"])
	require.Equal(t, "ok: no NetworkPolicy restricts who may connect", checks["policies, port 80"])
	require.NotContains(t, checks, "port 81")

	out, checks = connect(t, s, map[string]any{"service_name": "web", "namespace": ns, "port": 81})
	require.Contains(t, out.Verdict, "; but: target port 9090/TCP is not declared by the containers; they declare web:8080/TCP")
	require.NotContains(t, checks, "port 80")
	out, checks = connect(t, s, map[string]any{"service_name": "web", "namespace": ns, "port": "9090"})
	require.Equal(t, "FAIL: the service has no port 9090; 9090 is the target port of port 81; it has 80->web/TCP, 81->9090/TCP", checks["port 9090"])
	require.Contains(t, out.Verdict, "broken: ")
}

func TestCheckServiceConnectivityNamesTheLabelThatDiffers(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, backend)
	apply(t, ns, `
{apiVersion: v1, kind: Service, metadata: {name: typo}, spec: {selector: {app: webb}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: zero}, spec: {selector: {app: idle}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: lost}, spec: {selector: {nothing: like-it}, ports: [{port: 80}]}}`)
	apply(t, ns, workload("Deployment", "idle", goodImage, "  replicas: 0\n", ""))
	within(t, "pods", func() bool {
		_, checks := connect(t, s, map[string]any{"service_name": "web", "namespace": ns})
		return strings.Contains(checks["selector"], "2 pods")
	})
	out, checks := connect(t, s, map[string]any{"service_name": "typo", "namespace": ns})
	require.Equal(t, "broken: service typo of namespace "+ns+": its selector app=webb matches no running pod; nearest: Deployment web has app=web (and 1 more check failed)", out.Verdict)
	require.Equal(t, "FAIL: 0 ready endpoints, 0 not ready: connections are refused", checks["endpoints"])
	out, _ = connect(t, s, map[string]any{"service_name": "zero", "namespace": ns})
	require.Contains(t, out.Verdict, "its selector app=idle matches no running pod; Deployment idle would match but has no replicas wanted")
	out, _ = connect(t, s, map[string]any{"service_name": "lost", "namespace": ns})
	require.Contains(t, out.Verdict, "no pod of the namespace has any of these labels")

	other := namespace(t)
	apply(t, other, `{apiVersion: v1, kind: Service, metadata: {name: away}, spec: {selector: {app: web}, ports: [{port: 80}]}}`)
	out, _ = connect(t, s, map[string]any{"service_name": "away", "namespace": other})
	require.Contains(t, out.Verdict, "pods with these labels are in namespace ")
	require.Contains(t, out.Verdict, "a service only selects in its own")
}

func TestCheckServiceConnectivityOfPodsThatAreNotReady(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	s := serve(t, granted(t, checkServiceConnectivity.Rules...), mcpkit.AccessRead, nil)
	apply(t, ns, strings.ReplaceAll(strings.Replace(backend, "path: /index.html", "path: /missing.html", 1), "targetPort: 9090", "targetPort: absent"))
	var checks map[string]string
	within(t, "the probe's event", func() bool {
		_, checks = connect(t, s, map[string]any{"service_name": "web", "namespace": ns})
		return strings.Contains(checks["readiness"], "404") && strings.Contains(checks["endpoints"], "2 not ready")
	})
	require.Regexp(t, `^FAIL: 0 of 2 pods ready; web-.*: container app runs since \w+ but is not ready`, checks["readiness"])
	require.Contains(t, checks["readiness"], "ago: Readiness probe failed: HTTP probe failed with statuscode: 404")
	require.Equal(t, "FAIL: 0 ready endpoints, 2 not ready: connections are refused", checks["endpoints"])
	require.Equal(t, `FAIL: target port "absent": no container of its pods names a TCP port so; they declare web:8080/TCP`, checks["port 81"])
}

func TestCheckServiceConnectivityThroughPolicies(t *testing.T) {
	t.Parallel()
	ns, far := namespace(t), namespace(t)
	s := serve(t, granted(t, checkServiceConnectivity.Rules...), mcpkit.AccessRead, nil)
	apply(t, ns, backend)
	apply(t, ns, `
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: front-only}
spec:
  podSelector: {matchLabels: {app: web}}
  ingress: [{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: `+far+`}}, podSelector: {matchLabels: {app: front}}}], ports: [{port: web}]}]`)
	apply(t, far, workload("Deployment", "front", goodImage, "", ""))
	apply(t, far, workload("Deployment", "stranger", goodImage, "", ""))
	serving(t, s, ns, "web", "ok: 2 ready endpoints")
	for _, name := range []string{"front", "stranger"} {
		rolloutIs(t, reading(t), "deploy", far, name, "complete", "")
	}
	from := func(pod string) (CheckServiceConnectivityOut, map[string]string) {
		return connect(t, s, map[string]any{"service_name": "web", "namespace": ns, "port": "80", "from_pod": pod, "from_namespace": far})
	}
	out, checks := from("deployment/front")
	require.Equal(t, "ok: allowed by front-only", checks["ingress, port 80"])
	require.Equal(t, "ok: no NetworkPolicy restricts traffic from "+fromName(out.Verdict), checks["egress, port 80"])
	require.Regexp(t, `^reachable as far as the API shows: service web of namespace `+ns+` from pod front-\S+ of namespace `+far+`$`, out.Verdict)
	out, checks = from("deployment/stranger")
	require.Equal(t, "FAIL: NetworkPolicies front-only restrict it and no rule of theirs allows it", checks["ingress, port 80"])
	require.Contains(t, out.Verdict, "broken: ")

	_, checks = connect(t, s, map[string]any{"service_name": "web", "namespace": ns})
	require.Equal(t, "warning: NetworkPolicies front-only let in only: pods app=front of namespaces kubernetes.io/metadata.name="+far+" (front-only). Give from_pod to decide for one", checks["policies, port 80"])
	require.Equal(t, "FAIL: NetworkPolicies front-only let nobody in", checks["policies, port 81"])
	_, checks = connect(t, s, map[string]any{"service_name": "web", "namespace": ns, "port": "80", "from_namespace": far})
	require.Contains(t, checks["ingress, port 80"], "FAIL: NetworkPolicies front-only restrict it")

	apply(t, far, `{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: quiet}, spec: {podSelector: {matchLabels: {app: front}}, policyTypes: [Egress]}}`)
	out, checks = from("deployment/front")
	require.Equal(t, "FAIL: NetworkPolicies quiet restrict it and no rule of theirs allows it", checks["egress, port 80"])
	require.Contains(t, out.Verdict, "broken: ")
	apply(t, far, `
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: to-web}, spec: {podSelector: {matchLabels: {app: front}}, policyTypes: [Egress],
 egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}], ports: [{port: 8080}]}]}}`)
	_, checks = from("deployment/front")
	require.Equal(t, "ok: allowed by to-web", checks["egress, port 80"])
	require.Contains(t, checks, "dns", "egress is restricted, so names are checked")
}

// fromName is the source's pod in a verdict.
func fromName(verdict string) string {
	_, rest, _ := strings.Cut(verdict, " from pod ")
	name, _, _ := strings.Cut(rest, " ")
	return name
}

func TestCheckServiceConnectivityOfOtherServices(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `
{apiVersion: v1, kind: Service, metadata: {name: alias}, spec: {type: ExternalName, externalName: db.example.com}}
---
{apiVersion: v1, kind: Service, metadata: {name: inner}, spec: {type: ExternalName, externalName: wep.`+ns+`.svc.cluster.local}}
---
{apiVersion: v1, kind: Service, metadata: {name: headless}, spec: {clusterIP: None, selector: {app: none}, ports: [{port: 80, targetPort: 8080}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: manual}, spec: {ports: [{name: sql, port: 5432}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: empty}, spec: {ports: [{port: 5432}]}}
---
{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: manual-1, labels: {kubernetes.io/service-name: manual}}, addressType: IPv4, ports: [{name: sql, port: 15432, protocol: TCP}], endpoints: [{addresses: [192.0.2.10]}]}
---
{apiVersion: v1, kind: Service, metadata: {name: local}, spec: {internalTrafficPolicy: Local, selector: {app: none}, ports: [{port: 80}]}}`)
	out, _ := connect(t, s, map[string]any{"service_name": "alias", "namespace": ns})
	require.Equal(t, "not decided: service alias of namespace "+ns+": db.example.com lies outside the cluster, so the API does not tell whether it answers", out.Verdict)
	out, _ = connect(t, s, map[string]any{"service_name": "inner", "namespace": ns})
	require.Contains(t, out.Verdict, "there is no service wep in namespace "+ns)
	_, checks := connect(t, s, map[string]any{"service_name": "headless", "namespace": ns})
	require.Contains(t, checks["address"], "warning: headless: ")
	require.Contains(t, checks["address"], "clients must connect to 8080")
	out, checks = connect(t, s, map[string]any{"service_name": "manual", "namespace": ns})
	require.Equal(t, "ok: endpoints listen on 15432/TCP, by what their slice says", checks["port 5432"])
	require.Contains(t, out.Verdict, "reachable ")
	out, _ = connect(t, s, map[string]any{"service_name": "empty", "namespace": ns})
	require.Contains(t, out.Verdict, "an EndpointSlice labelled kubernetes.io/service-name=empty must be made for it")
	_, checks = connect(t, s, map[string]any{"service_name": "local", "namespace": ns})
	require.Equal(t, "warning: internalTrafficPolicy Local: it works from nodes with a ready endpoint alone: none", checks["routing"])
}

func TestCheckServiceConnectivityRefusals(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, backend)
	const tool = "k8s_check_service_connectivity"
	requireRefused(t, s, tool, map[string]any{"service_name": "wep", "namespace": ns}, `not_found: no services "wep" in namespace "`+ns+`"; the nearest names are web`)
	requireRefused(t, s, tool, map[string]any{"service_name": "web", "namespace": ns, "from_pod": "nobody"}, `not_found: no pods "nobody"`)
	requireRefused(t, s, tool, map[string]any{"service_name": "web", "namespace": ns, "from_namespace": ns + "x"}, `not_found: no namespaces "`+ns+`x"`)
	requireRefused(t, s, tool, map[string]any{"service_name": "web." + ns, "namespace": "other"}, `invalid: service_name says namespace`)
	requireRefused(t, s, tool, map[string]any{"service_name": "www.example.com"}, `invalid: `)
	requireRefused(t, s, tool, map[string]any{"service_name": "http://web"}, `invalid: `)
	requireRefused(t, serve(t, granted(t, readRule("", "pods")), mcpkit.AccessRead, nil), tool, map[string]any{"service_name": "web", "namespace": ns}, "denied: ")

	part := serve(t, granted(t, readRule("", "services")), mcpkit.AccessRead, nil)
	out, checks := connect(t, part, map[string]any{"service_name": "web", "namespace": ns})
	require.Contains(t, out.Verdict, "not decided: ")
	require.Contains(t, checks["selector"], "not known: ")
	require.Contains(t, checks["endpoints"], "not known: ")
	require.True(t, slices.ContainsFunc(out.NotLooked, func(l string) bool { return strings.HasPrefix(l, "pods: denied") }), out.NotLooked)
}

func TestConnectivityAnswerIsBounded(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	var ports []string
	for i := range 200 {
		ports = append(ports, strings.ReplaceAll(`{name: pN, port: N, targetPort: a-named-port}`, "N", string(rune('1'+i/100))+string(rune('0'+i/10%10))+string(rune('0'+i%10))))
	}
	apply(t, ns, strings.Replace(backend, "[{name: http, port: 80, targetPort: web}, {name: admin, port: 81, targetPort: 9090}]", "["+strings.Join(ports, ",")+"]", 1))
	within(t, "pods", func() bool {
		_, checks := connect(t, s, map[string]any{"service_name": "web", "namespace": ns})
		return strings.Contains(checks["selector"], "2 pods")
	})
	a := s.Call("k8s_check_service_connectivity", map[string]any{"service_name": "web", "namespace": ns})
	require.LessOrEqual(t, a.Bytes, mcpkit.DefaultMaxResultBytes)
	var out CheckServiceConnectivityOut
	a.Into(t, &out)
	require.True(t, out.Truncated)
	require.Contains(t, out.LeftOut, "name one port")
}

func FuzzServiceRef(f *testing.F) {
	for _, s := range []string{"web", "web.shop", "web.shop.svc.cluster.local:80", "www.example.com", ":", ".", "http://web"} {
		f.Add(s, "shop")
	}
	f.Fuzz(func(t *testing.T, s, ns string) {
		name, _, _, err := serviceRef(CheckServiceConnectivityIn{ServiceName: s, Namespace: ns})
		require.True(t, isKind(err, mcpkit.Invalid) || name != "" && !strings.ContainsAny(name, "./: "))
	})
}

func TestProbePort(t *testing.T) {
	ports := []corev1.ContainerPort{{Name: "web", ContainerPort: 8080}}
	var p corev1.Probe
	require.Zero(t, probePort(&p, ports))
	p.GRPC = &corev1.GRPCAction{Port: 7}
	require.EqualValues(t, 7, probePort(&p, ports))
}
