package declared_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/template"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/declared"
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
)

// files writes a directory of files, given by name.
func files(t *testing.T, content map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range content {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func load(t *testing.T, content map[string]string) *declared.Directory {
	t.Helper()
	d, err := declared.Load(files(t, content))
	require.NoError(t, err)
	return d
}

func agent(t *testing.T, content map[string]string, from declared.Sources) declared.Agent {
	t.Helper()
	a, err := load(t, content).Agent("", from)
	require.NoError(t, err)
	return a
}

const model = `
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: fast}
spec: {provider: anthropic, model: claude-test, apiKeySecretRef: {name: key, key: api-key}}
`

const plain = `
apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: helper, labels: {team: shop}}
spec:
  description: Helps.
  declarative:
    modelConfig: fast
    systemMessage: Be brief. {{not a template}}
`

func TestTheSamplesResolve(t *testing.T) {
	d, err := declared.Load("testdata/samples")
	require.NoError(t, err)
	a, err := d.Agent("kagent/k8s-troubleshooter", declared.Sources{})
	require.NoError(t, err)
	require.Contains(t, a.System, "あなたはKubernetesの障害調査専門エージェントです。")
	require.Equal(t, kagent.ProviderAnthropic, a.Model.Spec.Provider)
	require.Equal(t, "claude-sonnet-4-20250514", a.Model.Spec.Model)
	require.Equal(t, "anthropic-api-key", a.Model.Spec.APIKeySecret)
	require.Len(t, a.Servers, 2)
	require.Equal(t, "kagent-tool-server", a.Servers[0].Name)
	require.Equal(t, []string{"k8s_get_resources", "k8s_get_pod_logs", "k8s_get_events"}, a.Servers[0].Tools)
	require.Equal(t, "kubernetes-mcp", a.Servers[0].Audience)
	require.Equal(t, []string{"prometheus_query"}, a.Servers[1].Tools)
	require.Equal(t, declared.Limits{
		Access: v1alpha1.AccessApprove, ApprovalTimeout: time.Hour, Turns: declared.DefaultTurns, Duration: declared.DefaultDuration,
	}, a.Limits)
	require.Regexp(t, `^[0-9a-f]{10}$`, a.Revision)
	require.Empty(t, a.Unserved)
}

func TestEverythingWrongIsSaidAtOnce(t *testing.T) {
	dir := files(t, map[string]string{
		"a.yaml": `apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata:
  name: helper
spec:
  declarative:
    modelConfg: fast
    tools:
    - type: McpServer
      mcpServer:
        name: Not_A_Name
        toolNames: [a]
        requireApproval: [b]
---
apiVersion: v1
kind: Pod
metadata: {name: web}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: fast}
spec:
  provider: anthropc
  model: 7
`,
		"b.yaml": "a: b\n c: d\n",
		"c.yaml": "apiVersion: kagent.dev/v1alpha2\nkind: RemoteMCPServer\nmetadata: {name: x}\nspec:\n  url: http://x/mcp\n  url: http://y/mcp\n",
		"d.yaml": "kind: Agent\n",
	})
	_, err := declared.Load(dir)
	require.Error(t, err)
	told := strings.ReplaceAll(err.Error(), dir+"/", "")
	for _, want := range []string{
		`a.yaml:7: Agent default/helper: spec.declarative.modelConfg: Agent has no such field; remove it, or correct its name`,
		`a.yaml:11: Agent default/helper: spec.declarative.tools[0].mcpServer.name: "Not_A_Name" is no name of an object`,
		`a.yaml:13: Agent default/helper: spec.declarative.tools[0].mcpServer.requireApproval[0]: "b" is not among toolNames`,
		`a.yaml:16: Pod default/web: kind: a Pod of v1 is nothing that an agent is made of`,
		`a.yaml:24: ModelConfig default/fast: `,
		`b.yaml:2: mapping values are not allowed in this context`,
		`c.yaml:6: key "url" already set in map`,
		`d.yaml:1: this is no object with apiVersion and kind`,
	} {
		require.Contains(t, told, want)
	}
}

func TestEveryReferenceThatIsWrongIsSaidAtOnce(t *testing.T) {
	dir := files(t, map[string]string{"a.yaml": `apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: helper}
spec:
  declarative:
    modelConfig: slow
    systemMessageFrom: {type: ConfigMap, name: texts, key: who}
    tools:
    - mcpServer: {name: here/tools}
    - mcpServer: {name: there/tools}
    - agent: {name: other}
    - agent: {name: helper}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: tools, namespace: there}
spec: {description: Tools., url: "http://x/mcp"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: texts}
data: {what: x}
---` + model})
	d, err := declared.Load(dir)
	require.NoError(t, err)
	_, err = d.Agent("helper", declared.Sources{})
	require.Error(t, err)
	told := strings.ReplaceAll(err.Error(), dir+"/", "")
	for _, want := range []string{
		`a.yaml:6: Agent default/helper: spec.declarative.modelConfig: ModelConfig default/slow is not declared; there is default/fast`,
		`a.yaml:7: Agent default/helper: spec.declarative.systemMessageFrom: ConfigMap default/texts has no key "who"; it has what`,
		`a.yaml:9: Agent default/helper: spec.declarative.tools[0].mcpServer.name: RemoteMCPServer here/tools is not declared; there is there/tools, in another namespace`,
		`a.yaml:10: Agent default/helper: spec.declarative.tools[1].mcpServer.namespace: RemoteMCPServer there/tools allows agents of its own namespace alone`,
		`a.yaml:11: Agent default/helper: spec.declarative.tools[2].agent.name: Agent default/other is not declared`,
		`a.yaml:8: Agent default/helper: spec.declarative.tools: the agent would ask itself: default/helper -> default/helper`,
	} {
		require.Contains(t, told, want)
	}
}

func TestTheAgentThatIsMeant(t *testing.T) {
	other := strings.NewReplacer("name: helper", "name: lead", "systemMessage: Be brief. {{not a template}}", "tools: [{agent: {name: helper}}]").Replace(plain)
	d := load(t, map[string]string{"a.yaml": plain + "---" + model, "b.yaml": other})
	require.Equal(t, []string{"default/helper", "default/lead"}, d.Agents())
	a, err := d.Agent("", declared.Sources{})
	require.NoError(t, err)
	require.Equal(t, "lead", a.Name, "the one that no other uses")
	require.Len(t, a.Agents, 1)
	require.True(t, a.Agents[0].Here)
	_, err = d.Agent("shop/helper", declared.Sources{})
	require.ErrorContains(t, err, `agent "shop/helper" is not one of those that are declared: default/helper, default/lead`)

	bare := "apiVersion: kagent.dev/v1alpha2\nkind: Agent\nmetadata: {name: helper}\nspec: {description: Helps.}\n"
	d = load(t, map[string]string{"a.yaml": bare, "b.yaml": other, "m.yaml": model})
	a, err = d.Agent("", declared.Sources{})
	require.NoError(t, err)
	require.False(t, a.Agents[0].Here, "only its name is known")
	_, err = d.Agent("helper", declared.Sources{})
	require.ErrorContains(t, err, "the agent itself is missing")
}

func TestSystemMessages(t *testing.T) {
	texts := `
apiVersion: v1
kind: ConfigMap
metadata: {name: prompts}
data:
  safety: Never guess. {{.AgentName}}
---`
	template := strings.Replace(plain, "systemMessage: Be brief. {{not a template}}", `systemMessage: |
      {{include "house/safety"}}
      I am {{.AgentName}} of {{.AgentNamespace}}. {{.Description}} Tools:{{range .ToolNames}} {{.}}{{end}}.{{if .SkillNames}} Skills.{{end}}
    promptTemplate: {dataSources: [{name: prompts, alias: house}]}
    tools: [{mcpServer: {name: t, toolNames: [one, two]}}]`, 1)
	server := "\n---\napiVersion: kagent.dev/v1alpha2\nkind: RemoteMCPServer\nmetadata: {name: t}\nspec: {description: T., url: http://t/mcp}\n"

	require.Equal(t, "Be brief. {{not a template}}", agent(t, map[string]string{"a.yaml": plain + "---" + model}, declared.Sources{}).System)
	a := agent(t, map[string]string{"a.yaml": template + "---" + model, "b.yaml": texts + server}, declared.Sources{})
	require.Equal(t, "Never guess. {{.AgentName}}\nI am helper of default. Helps. Tools: one two.\n", a.System)

	for wrong, want := range map[string]string{
		`{{include "house/none"}}`:              `there is no text "house/none" to include; there are house/safety`,
		`{{.Nothing}}`:                          "can't evaluate field Nothing",
		`{{`:                                    "this is no template",
		`{{template "systemMessage"}}`:          "a system message knows text, values, include, if, with and range",
		`{{define "a"}}{{template "a"}}{{end}}`: "defines templates of its own",
	} {
		d := load(t, map[string]string{"a.yaml": strings.Replace(template, `{{include "house/safety"}}`, wrong, 1) + "---" + model, "b.yaml": texts + server})
		_, err := d.Agent("", declared.Sources{})
		require.ErrorContains(t, err, want)
	}
}

// TestTemplatesAreGos holds what is filled in here to what text/template makes of
// it.
func TestTemplatesAreGos(t *testing.T) {
	v := declared.Variables{AgentName: "helper", AgentNamespace: "shop", Description: "Helps.", ToolNames: []string{"one", "two", "three"}}
	texts := map[string]string{"house/safety": "Never guess. {{.AgentName}}"}
	for _, text := range []string{
		"plain, {{.AgentName}} {{ .Description -}}   \n  trimmed",
		"{{/* said */}}{{include \"house/safety\"}} {{\"house/safety\" | include}} {{(include \"house/safety\")}}",
		"{{range .ToolNames}}- {{.}} of {{$.AgentName}}\n{{else}}none{{end}}{{range .SkillNames}}{{.}}{{else}}none{{end}}",
		"{{range $i, $t := .ToolNames}}{{if $i}}, {{end}}{{$t}}{{end}}{{range $t := .ToolNames}}{{$t}}{{end}}",
		"{{range .ToolNames}}{{if eq . \"two\"}}{{continue}}{{end}}{{.}}{{end}}{{range .ToolNames}}{{break}}{{end}}",
		"{{if and .SkillNames .ToolNames}}a{{else if or .SkillNames .ToolNames}}b{{else}}c{{end}}{{if not .SkillNames}}d{{end}}",
		"{{with .Description}}{{.}}{{end}}{{with .SkillNames}}x{{else}}y{{end}}{{len .ToolNames}}{{len .AgentName}}",
		"{{$n := .AgentName}}{{$n}}{{$n = \"other\"}}{{$n}}{{if true}}{{$m := 1}}{{$m}}{{end}}{{index .ToolNames 1}}",
		"{{printf \"%s in %q, %d\" .AgentName .AgentNamespace (len .ToolNames)}}{{print 1 2 \"a\" \"b\"}}{{println .AgentName}}{{.ToolNames}}",
		"{{eq .AgentName \"a\" \"helper\"}}{{ne 1 2}}{{lt 1 2}}{{le 2 2}}{{gt \"b\" \"a\"}}{{ge 1 2}}{{eq true false}}{{true}}{{7}}",
	} {
		include := func(name string) (string, error) { return texts[name], nil }
		var want strings.Builder
		require.NoError(t, template.Must(template.New("").Funcs(template.FuncMap{"include": include}).Parse(text)).Execute(&want, v), text)
		got, err := declared.Fill(text, texts, v)
		require.NoError(t, err, text)
		require.Equal(t, want.String(), got, text)
	}
	for text, want := range map[string]string{
		"{{call .AgentName}}":         `function "call" not defined`,
		"{{.AgentName.Length}}":       "can't evaluate field Length",
		"{{range .AgentName}}{{end}}": "string is no list to range over",
		"{{index .ToolNames 9}}":      "there is no element 9 among 3",
		"{{len 1}}":                   "int has no length",
		"{{lt 1 \"a\"}}":              "cannot be compared",
		"{{.AgentName 1}}":            "a value takes no arguments",
		"{{include}}":                 "it needs an argument",
		"{{range .ToolNames}}{{printf \"%999999s\" .}}{{end}}": "grows beyond 1 MiB",
	} {
		_, err := declared.Fill(text, texts, v)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzFill(f *testing.F) {
	f.Add("{{range $i, $t := .ToolNames}}{{if $i}}, {{end}}{{$t}}{{end}}{{include \"a\"}}")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = declared.Fill(text, map[string]string{"a": "b"}, declared.Variables{ToolNames: []string{"one"}})
	})
}

func TestTheTightestLimitCounts(t *testing.T) {
	policy := func(name, spec string) string {
		return "---\napiVersion: toolcrib.dev/v1alpha1\nkind: AgentPolicy\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
	}
	a := agent(t, map[string]string{"a.yaml": plain + "---" + model +
		policy("a", `{agentSelector: {}, access: Write, approvalTimeout: 2h, perRun: {turns: 200, toolCalls: 0, costUSD: "1.5"}, perDay: {runs: 0}}`) +
		policy("b", `{agentSelector: {matchLabels: {team: shop}}, access: Approve, perRun: {turns: 100, toolCalls: 9, tokens: 7000, duration: 1h}, perDay: {costUSD: "20"}}`) +
		policy("c", `{agentSelector: {matchLabels: {team: bank}}, perRun: {turns: 1}}`)}, declared.Sources{})
	require.Equal(t, declared.Limits{
		Access: v1alpha1.AccessApprove, ApprovalTimeout: 2 * time.Hour,
		Turns: 100, ToolCalls: declared.None, Duration: time.Hour, Tokens: 7000, Cost: 1.5, RunsPerDay: declared.None, CostPerDay: 20,
	}, a.Limits)

	a = agent(t, map[string]string{"a.yaml": plain + "---" + model + policy("a", `{agentSelector: {}}`)}, declared.Sources{})
	require.Equal(t, v1alpha1.AccessReadOnly, a.Limits.Access, "as the CRD has it")

	_, err := declared.Load(files(t, map[string]string{"a.yaml": policy("a", `{agentSelector: {}, access: All, perRun: {costUSD: "1e9"}}`)}))
	require.ErrorContains(t, err, `a.yaml:5: AgentPolicy default/a: spec.access: "All" is no access`)
	require.ErrorContains(t, err, `a.yaml:5: AgentPolicy default/a: spec.perRun.costUSD: "1e9" is no amount of US dollars`)
}

func TestSecretsOfADirectory(t *testing.T) {
	key := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: key}\ndata: {api-key: c2VjcmV0Cg==}\nstringData: {other: plain}\n"
	a := agent(t, map[string]string{"a.yaml": plain + "---" + model + key}, declared.Sources{})
	value, err := a.Secrets.Secret("key", "api-key")
	require.NoError(t, err)
	require.Equal(t, "secret", value)
	value, err = a.Secrets.Secret("key", "other")
	require.NoError(t, err)
	require.Equal(t, "plain", value)
	_, err = a.Secrets.Secret("key", "none")
	require.ErrorContains(t, err, "there is no key none")
	require.NotContains(t, err.Error(), "secret\n")

	environment := map[string]string{}
	a = agent(t, map[string]string{"a.yaml": plain + "---" + model}, declared.Sources{Environment: func(name string) string { return environment[name] }})
	_, err = a.Secrets.Secret("key", "api-key")
	require.ErrorContains(t, err, "the provider's key is missing: set ANTHROPIC_API_KEY, or declare Secret default/key with key api-key")
	environment["ANTHROPIC_API_KEY"] = "from-environment"
	value, err = a.Secrets.Secret("key", "api-key")
	require.NoError(t, err)
	require.Equal(t, "from-environment", value)
	_, err = a.Secrets.Secret("another", "api-key")
	require.ErrorContains(t, err, "Secret default/another is not declared")
	token, err := a.Secrets.Token("default", "t")
	require.NoError(t, err)
	require.Empty(t, token)
}

func TestSecretsThatAreMounted(t *testing.T) {
	mounts := files(t, map[string]string{"secrets/key/api-key": "first\n", "tokens/kagent.tools/token": "bearer"})
	a := agent(t, map[string]string{"a.yaml": plain + "---" + model}, declared.Sources{Mounts: mounts, Environment: func(string) string { return "unused" }})
	value, err := a.Secrets.Secret("key", "api-key")
	require.NoError(t, err)
	require.Equal(t, "first", value)
	require.NoError(t, os.WriteFile(filepath.Join(mounts, "secrets/key/api-key"), []byte("second"), 0o600))
	value, err = a.Secrets.Secret("key", "api-key")
	require.NoError(t, err)
	require.Equal(t, "second", value, "read at each use")
	_, err = a.Secrets.Secret("key", "none")
	require.ErrorContains(t, err, "Secret key has no key none, or is not mounted")
	for _, outside := range [][2]string{{"..", "key"}, {"key", "../key/api-key"}, {"key", ".."}, {"", "x"}, {"key/api-key", ""}} {
		_, err = a.Secrets.Secret(outside[0], outside[1])
		require.ErrorContains(t, err, "no name of a Secret and a key")
	}
	token, err := a.Secrets.Token("kagent", "tools")
	require.NoError(t, err)
	require.Equal(t, "bearer", token)
	token, err = a.Secrets.Token("kagent", "others")
	require.NoError(t, err)
	require.Empty(t, token, "a server that wants none")
	_, err = a.Secrets.Token("..", "..")
	require.Error(t, err)
}

func TestWhatIsGivenAndNotServed(t *testing.T) {
	a := agent(t, map[string]string{"a.yaml": strings.Replace(plain, "declarative:", "sandbox: {}\n  declarative:\n    runtime: python", 1) + "---" + model}, declared.Sources{})
	require.Contains(t, a.Unserved, "spec.sandbox is given, and nothing here heeds it")
	_, err := load(t, map[string]string{"a.yaml": plain + "---" + strings.Replace(model, "anthropic", "bedrock", 1)}).Agent("", declared.Sources{})
	require.ErrorContains(t, err, "Bedrock is not served")
}

func TestHeadersOfConfigMaps(t *testing.T) {
	a := agent(t, map[string]string{"a.yaml": strings.Replace(plain, "systemMessage: Be brief. {{not a template}}", "tools: [{mcpServer: {name: t}, headersFrom: [{name: X-Team, valueFrom: {type: ConfigMap, name: c, key: team}}]}]", 1) + "---" + model + `---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: t, annotations: {toolcrib.dev/access: write}}
spec: {description: T., url: "http://t/mcp", headersFrom: [{name: Authorization, valueFrom: {type: Secret, name: s, key: k}}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: c}
data: {team: "shop\n"}
`}, declared.Sources{})
	require.Equal(t, "shop", *a.Servers[0].Headers[0].Value)
	require.Equal(t, "s", a.Servers[0].Spec.HeadersFrom[0].ValueFrom.Name)
	require.True(t, a.Servers[0].GatesItself)
}

// TestSecretsStayInTheirNamespace holds that a server of another namespace does
// not choose which of the agent's Secrets it is sent.
func TestSecretsStayInTheirNamespace(t *testing.T) {
	const yaml = `apiVersion: kagent.dev/v1alpha2
kind: Agent
metadata: {name: helper, namespace: home}
spec: {declarative: {modelConfig: fast, systemMessage: Help., tools: [{mcpServer: {name: tools, namespace: there}}]}}
---
apiVersion: kagent.dev/v1alpha2
kind: ModelConfig
metadata: {name: fast, namespace: home}
spec: {provider: Anthropic, model: m, apiKeySecret: key, apiKeySecretKey: key}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata: {name: tools, namespace: there}
spec: {description: Tools., url: "http://tools/mcp", allowedNamespaces: {from: All}, WANTS}
`
	wants := `headersFrom: [{name: Authorization, valueFrom: {type: Secret, name: key, key: key}}]`
	_, err := load(t, map[string]string{"a.yaml": strings.ReplaceAll(yaml, "WANTS", wants)}).Agent("", declared.Sources{})
	require.ErrorContains(t, err, "spec.declarative.tools[0].mcpServer.name: RemoteMCPServer there/tools takes headers from Secrets of its own namespace, which agents of namespace home cannot have")
	a := agent(t, map[string]string{"a.yaml": strings.ReplaceAll(yaml, "WANTS", `headersFrom: [{name: X-Team, value: sre}]`)}, declared.Sources{})
	require.Len(t, a.Servers, 1)
}

func TestADirectoryOfNothing(t *testing.T) {
	_, err := declared.Load(t.TempDir())
	require.ErrorContains(t, err, "holds no YAML files")
	_, err = declared.Load("/nowhere/at/all")
	require.ErrorContains(t, err, "/nowhere/at/all")
	_, err = load(t, map[string]string{"m.yaml": model + "---\n"}).Agent("", declared.Sources{})
	require.ErrorContains(t, err, "no Agent is declared")
}

func FuzzLoad(f *testing.F) {
	f.Add(plain + "---" + model)
	f.Add("a: &a [*a]\n")
	f.Add("{\"kind\": \"Agent\", \"apiVersion\": \"kagent.dev/v1alpha2\"}")
	f.Fuzz(func(t *testing.T, text string) {
		d, err := declared.Load(files(t, map[string]string{"a.yaml": text}))
		if err != nil {
			return
		}
		for _, name := range d.Agents() {
			_, _ = d.Agent(name, declared.Sources{})
		}
	})
}
