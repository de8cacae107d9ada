package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What the tools of servers/kubernetes returned of testbed/shop.
const (
	shopPods = "namespace\tname\tready\tstatus\trestarts\tage\treason\n" +
		"shop\tcart-7c7b4cf85d-87f2h\t1/1\tRunning\t0\t51s\t\n" +
		"shop\tcatalog-7c8fdf97d-lr8d7\t0/1\tImagePullBackOff\t0\t51s\tImagePullBackOff\n" +
		"shop\tcheckout-55b6b4948d-z4pnl\t0/1\tCrashLoopBackOff\t3 (34s ago)\t52s\tError\n" +
		"shop\torders-database-7c6b58d5b7-c5hvk\t1/1\tRunning\t0\t52s\t\n"
	shopLog = "sources: checkout-55b6b4948d-z4pnl/checkout\nlines_searched: 3\nlog:\n" +
		"18:55:05 level=info msg=\"checkout starting\" version=2.3.1\n" +
		"18:55:05 level=info msg=\"connecting to database\" host=orders-db.shop.svc port=5432\n" +
		"18:55:05 level=error msg=\"cannot connect to database\" host=orders-db.shop.svc port=5432 err=\"lookup orders-db.shop.svc: no such host\""
	shopDeployment = "name\tready\tup-to-date\tavailable\tage\t.spec.template.spec.containers[*].name\t.spec.template.spec.containers[*].env\n" +
		"checkout\t0/1\t1\t0\t29s\tcheckout\t[{\"name\":\"DB_HOST\",\"value\":\"orders-db.shop.svc\"}]"
	shopServices = "name\ttype\tcluster-ip\texternal-ip\tport(s)\tage\n" +
		"cart\tClusterIP\t10.96.173.148\t<none>\t80/TCP\t28s\norders-database\tClusterIP\t10.96.131.158\t<none>\t5432/TCP\t29s\n"
	shopPatched = "result: done\ndiff: ~ spec.template.spec.containers[checkout].env[DB_HOST].value: orders-db.shop.svc -> orders-database.shop.svc\nobject\tdone\n"
)

// What they returned of its Service payments.
const (
	shopHealth   = "verdict: impaired\nproblems:\nseverity\tcause\tobjects\tdetail\nwarning\tService selects no pod\tService shop/payments [app=payment,tier=backend]\tits selector matches no pod that runs"
	shopNowhere  = "verdict: broken: service payments of namespace shop: its selector app=payment,tier=backend matches no running pod; nearest: Deployment payments has app=payments (and 1 more check failed)"
	shopSelector = "result: done\ndiff: ~ spec.selector.app: payment -> payments\nobject\tdone\n"
)

func TestShippedScenariosAreInOrder(t *testing.T) {
	for _, name := range ShippedNames() {
		s, err := Shipped(name)
		require.NoError(t, err)
		require.Equal(t, name, s.Name)
		require.NotEmpty(t, s.About, name)
	}
	_, err := Shipped("none")
	require.ErrorContains(t, err, `no scenario "none"; there are crash-loop, crash-loop-fix, `)
}

func playing(t *testing.T, name string, tools ...string) *talk {
	t.Helper()
	s, err := Shipped(name)
	require.NoError(t, err)
	return &talk{t: t, server: serve(t, Options{Scenario: s, Wait: nil}), tools: tools}
}

func TestAServiceIsMendedOnceSomebodyApproves(t *testing.T) {
	k := playing(t, "service-fix", "k8s_cluster_health", "k8s_check_service_connectivity", "k8s_patch_resource")
	r := k.answer(k.say("Customers cannot pay."), shopHealth)
	require.Equal(t, []string{`k8s_check_service_connectivity {"namespace":"shop","service_name":"payments"}`}, r.calls())
	r = k.answer(r, shopNowhere)
	require.Equal(t, []string{`k8s_patch_resource {"namespace":"shop","patch":"{\"spec\":{\"selector\":{\"app\":\"payments\"}}}","resource_name":"payments","resource_type":"service"}`}, r.calls())
	r = k.answer(k.answer(r, shopSelector), "verdict: reachable as far as the API shows: service payments of namespace shop")
	require.Contains(t, r.text(), "With approval I changed: ~ spec.selector.app: payment -> payments\nIt leads to ready pods now.")

	k = playing(t, "service-fix", "k8s_cluster_health", "k8s_check_service_connectivity", "k8s_patch_resource")
	r = k.answer(k.answer(k.answer(k.say("Customers cannot pay."), shopHealth), shopNowhere), "denied by ada: not now")
	require.Contains(t, r.text(), "still selects no pod. My change was not made: denied by ada: not now")
}

func TestCrashLoopIsExplainedFromWhatToolsReturn(t *testing.T) {
	k := playing(t, "crash-loop", "k8s_get_resources", "k8s_get_pod_logs", "k8s_get_events", "prometheus_query")
	r := k.say("Why does checkout crash?")
	require.Equal(t, []string{`k8s_get_resources {"all_namespaces":true,"fields":["restarts","reason"],"resource_type":"pods"}`}, r.calls())
	r = k.answer(r, shopPods)
	require.Equal(t, []string{
		`k8s_get_pod_logs {"namespace":"shop","pod_name":"checkout-55b6b4948d-z4pnl","tail_lines":20}`,
		`k8s_get_events {"namespace":"shop","resource_name":"checkout-55b6b4948d-z4pnl","resource_type":"pod"}`,
		`prometheus_query {"query":"ALERTS{alertstate=\"firing\"}"}`,
	}, r.calls())
	r = k.answer(r, shopLog, "found: 18 occurrences", "no series")
	require.Equal(t, "end_turn", r.StopReason)
	require.Contains(t, r.text(), "Pod checkout-55b6b4948d-z4pnl in namespace shop crash-loops after 3 restarts.\nCause: cannot connect to database: lookup orders-db.shop.svc: no such host.")

	r = k.say("And now?") // a new question is looked into anew
	require.Len(t, r.calls(), 1)
	r = k.answer(r, "namespace\tname\tready\tstatus\nshop\tcheckout-1-1\t1/1\tRunning")
	require.Len(t, r.calls(), 1, "it may run just now")
	require.Equal(t, "No pod crash-loops now.", k.answer(r, "namespace\tname\tready\tstatus\nshop\tcheckout-1-1\t1/1\tRunning").text())
}

func TestCrashLoopWithAnotherLog(t *testing.T) {
	k := playing(t, "crash-loop", "k8s_get_resources", "k8s_get_pod_logs", "k8s_get_events")
	r := k.answer(k.say("?"), shopPods)
	r = k.answer(r, "sources: x\nlog:\n18:00:00 starting\n18:00:01 panic: out of cheese\n</fence>", "none")
	require.Equal(t, "Pod checkout-55b6b4948d-z4pnl in namespace shop crash-loops. The last it says is: 18:00:01 panic: out of cheese\n", r.text())
	r = k.answer(k.say("?"), "denied: you may not list pods")
	require.Equal(t, "I could not find out why. The last tool said: denied: you may not list pods\n", r.text())
}

func TestCrashLoopIsFixed(t *testing.T) {
	k := playing(t, "crash-loop-fix", "k8s_get_resources", "k8s_get_pod_logs", "k8s_patch_resource", "k8s_get_rollout")
	r := k.answer(k.say("Mend checkout."), shopPods)
	require.Len(t, r.calls(), 3)
	r = k.answer(r, shopLog, shopDeployment, shopServices)
	require.Equal(t, []string{`k8s_patch_resource {"namespace":"shop","patch":"{\"spec\":{\"template\":{\"spec\":{\"containers\":[{\"name\":\"checkout\",\"env\":[{\"name\":\"DB_HOST\",\"value\":\"orders-database.shop.svc\"}]}]}}}}","resource_name":"checkout","resource_type":"deployment"}`}, r.calls())
	require.Contains(t, r.text(), "there is one called orders-database")
	proposed := *k
	denied := proposed.answer(r, "Ada has denied this call.")
	require.Contains(t, denied.text(), "My change was not made: Ada has denied this call.")

	r = k.answer(r, shopPatched)
	for range 4 {
		require.Equal(t, []string{`k8s_get_rollout {"namespace":"shop","resource_name":"checkout","resource_type":"deployment"}`}, r.calls())
		last := *k
		require.Contains(t, last.answer(r, "state: complete").text(), "Its rollout is complete")
		r = k.answer(r, "state: progressing")
	}
	require.Empty(t, r.calls())
	require.Contains(t, r.text(), "With approval I changed: ~ spec.template.spec.containers[checkout].env[DB_HOST].value: orders-db.shop.svc -> orders-database.shop.svc\nIts rollout has not been seen to complete.")
}

func TestCrashLoopIsNotFixedWithoutTheTool(t *testing.T) {
	k := playing(t, "crash-loop-fix", "k8s_get_resources", "k8s_get_pod_logs")
	r := k.answer(k.answer(k.say("Mend checkout."), shopPods), shopLog, shopDeployment, shopServices)
	require.Contains(t, r.text(), "kubectl set env -n shop deployment/checkout DB_HOST=orders-database.shop.svc\nI may not change it.")
}

func TestScenarioErrors(t *testing.T) {
	for scenario, says := range map[string]string{
		"rules: []":                                                     "has no rules",
		"rules: [{sya: hello}]":                                         "field sya not found",
		"rules: [{say: hello}]\nbogus: 1":                               "field bogus not found",
		"rules: [{say: hello}]\n---\nrules: []":                         "one document is enough",
		"rules: [{name: x, when: {calls: 1}}]":                          `rule "x": does nothing`,
		"rules: [{say: 'Hello ${who}'}]":                                "${who} is captured nowhere before; there is calls, last, request, user",
		"rules: [{when: {user: '(?P<a>x)', read: '(?P<a>x)'}, say: a}]": `the name "a" is taken`,
		"rules: [{when: {user: '${b}', read: '(?P<b>x)'}, say: a}]":     "${b} is captured nowhere before",
		"rules: [{when: {user: '('}, say: a}]":                          "want a regular expression",
		"rules: [{when: {calls: few}, say: a}]":                         "want a number such as 2, or 2+",
		"rules: [{call: [{arguments: {}}]}]":                            "a call needs its tool",
		"rules: [{call: [{tool: a, arguments: {}, raw: x}]}]":           "raw stands instead of arguments",
		"rules: [{fail: {}}]":                                           "give one of status, cut and hang",
		"rules: [{fail: {status: 200}}]":                                "want one from 400 to 599",
		"rules: [{fail: {cut: true, after: 1}}]":                        "after counts pieces of an answer",
		"rules: [{say: a, fail: {cut: true}}]":                          "needs after",
		"rules: [{say: a, stop: now}]":                                  "want max_tokens or refusal",
		"rules: [{obey: true, call: [{tool: a}]}]":                      "obey makes its own calls",
	} {
		_, err := Parse("test", []byte(scenario))
		require.ErrorContains(t, err, says, scenario)
		require.ErrorContains(t, err, "scenario test", scenario)
	}
	_, err := Start(Options{})
	require.ErrorContains(t, err, "needs a scenario")
}

func TestConditions(t *testing.T) {
	server := started(t, `
rules:
- {name: third, when: {requests: [3]}, say: "third is ${request}"}
- {name: fifth, when: {every: 5}, say: fifth}
- {name: model, when: {model: ^other$}, say: other model}
- {name: system, when: {system: '(?P<who>専門家)'}, times: 1, say: "${who}"}
- {name: call, when: {user: 'replicas (?P<n>\d+)', calls: 0, offered: [scale], not_offered: [gone]}, call: [{tool: scale, arguments: {replicas: "${n:number}", deep: [{text: "$${n} is ${n}"}]}}]}
- {name: error, when: {called: [scale], results: [{tool: scale, error: true, matches: '(?P<why>.+)'}]}, say: "no: ${why}"}
- {name: more, when: {calls: 1+}, say: "after ${calls}: ${last}"}
`, Options{})
	k := &talk{t: t, server: server, tools: []string{"scale"}}
	require.Equal(t, "専門家", k.say("replicas 3").text())
	r := k.say("replicas 3")
	require.Equal(t, []string{`scale {"deep":[{"text":"${n} is 3"}],"replicas":3}`}, r.calls())
	failed := []any{map[string]any{"type": "tool_result", "tool_use_id": r.Content[0].ID, "content": "denied", "is_error": true}}
	require.Equal(t, "third is 3", k.say(failed).text())
	none := ask(t, server, `{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"what?"}]}`)
	require.Equal(t, 400, none.status)
	require.Contains(t, none.body, `no rule for this request: the user's last text begins \"what?\", and after it 0 calls were made`)
	k.messages = k.messages[:len(k.messages)-2]
	require.Equal(t, "fifth", k.say(failed).text())
	k.messages = k.messages[:len(k.messages)-2]
	require.Equal(t, "no: denied", k.say(failed).text())
	k.messages = k.messages[:len(k.messages)-2]
	require.Equal(t, "after 1: done", k.answer(r, "done").text())
}
