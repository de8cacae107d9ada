package bench

// releaseQuestion is a question about releases or charts, with the command
// lines that give the same facts, the form of each being what one would read
// at a terminal.
type releaseQuestion struct {
	question
	commands []string // after "helm", or beginning with "kubectl"
}

// releaseQuestions are asked of what startReleases makes.
var releaseQuestions = []releaseQuestion{
	{question{"Which releases are there?", "helm_list_releases", nil,
		[]string{"warehouse", "locked", "app-00", "app-25", "web-1.2.0", "cache-1.2.0", "failed", "pending-install"}},
		[]string{"list --all --all-namespaces"}},
	{question{"Which releases failed?", "helm_list_releases", args{"status": "failed"},
		[]string{"warehouse", "data", "slow-1.1.0", "failed"}},
		[]string{"list --all-namespaces --failed"}},
	{question{"What was done to web?", "helm_get_history", args{"namespace": "shop", "name": "web"},
		[]string{"web-1.0.0", "web-1.1.0", "web-1.2.0", "superseded", "deployed"}},
		[]string{"history web --namespace shop"}},
	{question{"Which charts serve a frontend?", "helm_search_charts", args{"query": "frontend"},
		[]string{"charts/web", "1.2.0"}},
		[]string{"search repo frontend"}},
	{question{"Where do charts come from?", "helm_list_repositories", nil,
		[]string{"charts", "http://127.0.0.1"}},
		[]string{"repo list"}},
	{question{"What is the chart web?", "helm_show_chart", args{"chart": "charts/web"},
		[]string{"1.2.0", "3.0.0", "Ada Park"}},
		[]string{"show chart charts/web"}},
}
