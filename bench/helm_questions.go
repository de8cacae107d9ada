package bench

// releaseQuestion is a question about releases or charts, with the command
// lines that give the same facts, the form of each being what one would read
// at a terminal. A line begins with kubectl or with a command of helm.
type releaseQuestion struct {
	question
	lines []string
}

// Arguments and flags that name one release.
var (
	web       = args{"namespace": "shop", "name": "web"}
	warehouse = args{"namespace": "data", "name": "warehouse"}
)

const (
	ofWeb       = " web --namespace shop"
	ofWarehouse = " warehouse --namespace data"
)

// releaseQuestions are asked of what startReleases makes.
var releaseQuestions = []releaseQuestion{
	{question{"Which releases are there?", "helm_list_releases", nil,
		[]string{"warehouse", "locked", "app-00", "app-25", "web-1.2.0", "cache-1.2.0", "failed", "pending-install"}},
		[]string{"list --all --all-namespaces"}},
	{question{"Which releases failed?", "helm_list_releases", args{"status": "failed"},
		[]string{"warehouse", "data", "slow-1.1.0", "failed"}},
		[]string{"list --all-namespaces --failed"}},
	{question{"Which releases are stuck?", "helm_list_releases", args{"status": "pending"},
		[]string{"locked", "ops", "with-hooks-1.0.0", "pending-install"}},
		[]string{"list --all-namespaces --pending"}},
	{question{"What was done to web?", "helm_get_history", web,
		[]string{"web-1.0.0", "web-1.1.0", "web-1.2.0", "superseded", "deployed"}},
		[]string{"history" + ofWeb}},
	{question{"How is warehouse, and what of it is not ready?", "helm_get_status", warehouse,
		[]string{"failed", "2", "Deployment|deployment.apps", "warehouse", "0/1|0 of 1"}},
		[]string{"status --show-resources" + ofWarehouse, "history" + ofWarehouse}},
	{question{"Which values were given to web?", "helm_get_release", web.with("what", "values"),
		[]string{"Sale", "3"}},
		[]string{"get values" + ofWeb}},
	{question{"Which values has web in all?", "helm_get_release", web.with("what", "all_values"),
		[]string{"Sale", "3", "postgres.data.svc", "48Mi", "info"}},
		[]string{"get values --all" + ofWeb}},
	{question{"What is web's Deployment to be?", "helm_get_release", web.with("what", "manifest").with("resource_type", "Deployment"),
		[]string{"toolcrib.test/busybox:1", "httpd", "readinessProbe", "3"}},
		[]string{"get manifest" + ofWeb}},
	{question{"What did web's notes say?", "helm_get_release", web.with("what", "notes"),
		[]string{"web 1.2.0 is installed as web in shop", "Sign in as admin"}},
		[]string{"get notes" + ofWeb}},
	{question{"Which hooks has orders, and what do they run?", "helm_get_release", args{"namespace": "shop", "name": "orders", "what": "hooks"},
		[]string{"orders-pre-install", "orders-post-install", "orders-pre-upgrade", "migrations are up to date"}},
		[]string{"get hooks orders --namespace shop"}},
	{question{"What changed from revision 1 to 3 of web?", "helm_diff_release", web.with("from", 1).with("to", 3),
		[]string{"replicas", "3", "Sale", "48Mi"}},
		[]string{"get manifest --revision 1" + ofWeb, "get manifest --revision 3" + ofWeb}},
	{question{"What would a fourth replica change in web?", "helm_diff_release", web.with("values", args{"replicas": 4}),
		[]string{"replicas", "3", "4"}},
		[]string{"get manifest" + ofWeb, "upgrade --dry-run --reuse-values --set replicas=4 --version 1.2.0 web charts/web --namespace shop"}},
	{question{"What was changed by hand in web?", "helm_check_drift", web,
		[]string{"replicas", "3", "5"}},
		[]string{"get manifest" + ofWeb, "kubectl get --namespace shop --output yaml configmap/web deployment/web secret/web service/web poddisruptionbudget/web"}},
	{question{"Which charts serve a frontend?", "helm_search_charts", args{"query": "frontend"},
		[]string{"charts/web", "1.2.0"}},
		[]string{"search repo frontend"}},
	{question{"Which versions of web are there?", "helm_search_charts", args{"query": "charts/web"},
		[]string{"1.0.0", "1.1.0", "1.2.0", "3.0.0"}},
		[]string{"search repo charts/web --versions"}},
	{question{"What is the chart web?", "helm_show_chart", args{"chart": "charts/web"},
		[]string{"1.2.0", "3.0.0", "Ada Park"}},
		[]string{"show chart charts/web"}},
	{question{"What resources does the chart web ask for?", "helm_show_chart", args{"chart": "charts/web", "what": "values", "part": "resources"},
		[]string{"5m", "48Mi"}},
		[]string{"show values charts/web"}},
	{question{"What does the chart's readme say?", "helm_show_chart", args{"chart": "charts/web", "what": "readme"},
		[]string{"Serves one page over HTTP", "service.port"}},
		[]string{"show readme charts/web"}},
	{question{"Which Deployment does the chart make with four replicas?", "helm_template", args{"chart": "charts/web", "name": "web", "values": args{"replicas": 4}, "show": []string{"Deployment"}},
		[]string{"4", "toolcrib.test/busybox:1", "readinessProbe"}},
		[]string{"template web charts/web --set replicas=4"}},
	{question{"Why did warehouse fail?", "helm_get_history", warehouse,
		[]string{"slow-1.1.0", "failed", "context deadline exceeded"}},
		[]string{"history" + ofWarehouse}},
}
