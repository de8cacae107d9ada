package declared

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// Sources are where values come from that no YAML holds.
type Sources struct {
	// Mounts is the directory of Secrets and tokens in an agent's pod; none if
	// empty.
	Mounts string
	// Environment hands out the environment's variables by which providers' keys
	// are known, such as ANTHROPIC_API_KEY; none if nil.
	Environment func(name string) string
}

// Annotations of a RemoteMCPServer that say how it treats its callers.
const (
	accessAnnotation   = "toolcrib.dev/access"   // write: it asks a person before each write
	audienceAnnotation = "toolcrib.dev/audience" // that tokens must be issued for
)

// Agents are the agents that are declared in full, as NAMESPACE/NAME, sorted.
func (d *Directory) Agents() []string {
	var names []string
	for _, k := range sorted(d.agents) {
		if !d.bare[k] {
			names = append(names, k.String())
		}
	}
	return names
}

// Agent is one agent with everything it refers to: NAMESPACE/NAME, or NAME if
// that is the name of one alone, or if empty the only one that no other uses as
// a tool. The error names everything that is missing or wrong.
func (d *Directory) Agent(name string, from Sources) (Agent, error) {
	k, err := d.pick(name)
	if err != nil {
		return Agent{}, err
	}
	found := d.agents[k]
	r := resolution{Directory: d, from: from, own: found, out: Agent{Agent: *found.value.DeepCopy(), Revision: d.revision()}}
	r.resolve()
	return r.out, errors.Join(r.problems...)
}

// pick finds the agent that is meant.
func (d *Directory) pick(name string) (key, error) {
	namespace, short, full := strings.Cut(name, "/")
	if !full {
		short = name
	}
	used := d.usedAsTools()
	var found []key
	for _, k := range sorted(d.agents) {
		switch {
		case name == "" && (used[k] || d.bare[k]):
		case name != "" && (k.name != short || full && k.namespace != namespace):
		default:
			found = append(found, k)
		}
	}
	all := strings.Join(d.Agents(), ", ")
	switch {
	case len(found) == 1 && d.bare[found[0]]:
		at := d.agents[found[0]].at
		return key{}, at.errorf("spec.declarative", "the agent itself is missing: its modelConfig, systemMessage and tools")
	case len(found) == 1:
		return found[0], nil
	case all == "":
		return key{}, errors.New("no Agent is declared; write one (apiVersion: kagent.dev/v1alpha2, kind: Agent)")
	case name == "" && len(found) == 0:
		return key{}, fmt.Errorf("each agent is used as a tool by another; say which is meant: %s", all)
	case name == "":
		return key{}, fmt.Errorf("more than one agent is declared; say which is meant: %s", all)
	}
	return key{}, fmt.Errorf("agent %q is not one of those that are declared: %s", name, all)
}

func (d *Directory) usedAsTools() map[key]bool {
	used := map[key]bool{}
	for k, a := range d.agents {
		for _, t := range toolsOf(a.value) {
			if t.Agent != nil && (key{t.Agent.Namespace, t.Agent.Name}) != k {
				used[key{t.Agent.Namespace, t.Agent.Name}] = true
			}
		}
	}
	return used
}

func toolsOf(a kagent.Agent) []kagent.Tool {
	if a.Spec.Declarative == nil {
		return nil
	}
	return a.Spec.Declarative.Tools
}

// resolution is one agent's references on their way to what they mean.
type resolution struct {
	*Directory
	from     Sources
	own      object[kagent.Agent]
	out      Agent
	problems []error
}

func (r *resolution) wrong(path, format string, args ...any) {
	r.problems = append(r.problems, r.own.at.errorf(path, format, args...))
}

func (r *resolution) resolve() {
	a := &r.out
	r.unserved("", a.Agent.Unsupported())
	if a.Spec.Type == kagent.AgentTypeBYO {
		r.wrong("spec.type", "agents of type BYO bring an image of their own and are not run here; write a Declarative one")
		return
	}
	r.modelConfigs()
	a.Secrets = r.secrets(a.Model)
	for i, t := range a.Spec.Declarative.Tools {
		path := fmt.Sprintf("spec.declarative.tools[%d]", i)
		if t.MCPServer != nil {
			r.server(path+".mcpServer", t)
		} else {
			r.agent(path+".agent", t)
		}
	}
	r.cycle()
	a.System = r.systemMessage()
	a.Limits = r.limits(a.Namespace, a.Labels)
	a.Prices = r.prices.Of(a.Model.Spec.Model)
}

func (r *resolution) unserved(of string, paths []string) {
	for _, p := range paths {
		r.out.Unserved = append(r.out.Unserved, of+p+" is given, and nothing here heeds it")
	}
}

// modelConfigs resolves the ModelConfig that the agent thinks with, and the one that
// writes its summaries.
func (r *resolution) modelConfigs() {
	d := r.out.Spec.Declarative
	if m := r.model("spec.declarative.modelConfig", d.ModelConfig); m != nil {
		r.out.Model = *m
	}
	if c := d.Context; c != nil && c.Compaction != nil && c.Compaction.Summarizer != nil && c.Compaction.Summarizer.ModelConfig != "" {
		r.out.Folder = r.model("spec.declarative.context.compaction.summarizer.modelConfig", c.Compaction.Summarizer.ModelConfig)
	}
}

func (r *resolution) model(path, name string) *kagent.ModelConfig {
	k := key{r.out.Namespace, name}
	found, ok := r.models[k]
	if !ok {
		r.wrong(path, "ModelConfig %s is not declared%s", k, near(k, r.models))
		return nil
	}
	if p := found.value.Spec.Provider; !p.Served() {
		r.problems = append(r.problems, found.at.errorf("spec.provider", "%s is not served; use Anthropic, OpenAI, AzureOpenAI, Ollama or Gemini, or reach it by openAI.baseUrl if it speaks OpenAI's API", p))
		return nil
	}
	r.unserved("ModelConfig "+name+": ", found.value.Unsupported())
	return found.value.DeepCopy()
}

func (r *resolution) server(path string, t kagent.Tool) {
	ref := t.MCPServer
	k := key{ref.Namespace, ref.Name}
	if ref.Kind != "RemoteMCPServer" {
		r.wrong(path+".kind", "tools of a %s are not served; declare a RemoteMCPServer with its URL", ref.Kind)
		return
	}
	found, ok := r.servers[k]
	if !ok {
		r.wrong(path+".name", "RemoteMCPServer %s is not declared%s", k, near(k, r.servers))
		return
	}
	if k.namespace != r.out.Namespace && !mayRefer(found.value.Spec.AllowedNamespaces) {
		r.wrong(path+".namespace", "RemoteMCPServer %s allows agents of its own namespace alone; see its spec.allowedNamespaces", k)
		return
	}
	if k.namespace != r.out.Namespace && ofSecrets(found.value.Spec.HeadersFrom) {
		r.wrong(path+".name", "RemoteMCPServer %s takes headers from Secrets of its own namespace, which agents of namespace %s cannot have; give the agent the header by headersFrom, or declare a RemoteMCPServer in its namespace", k, r.out.Namespace)
		return
	}
	server := *found.value.DeepCopy()
	server.Spec.HeadersFrom = r.headers(found.at, "spec.headersFrom", k.namespace, server.Spec.HeadersFrom)
	r.unserved("RemoteMCPServer "+k.String()+": ", found.value.Unsupported())
	r.out.Servers = append(r.out.Servers, Server{
		RemoteMCPServer: server, Tools: ref.ToolNames, RequireApproval: ref.RequireApproval,
		Headers:     r.headers(r.own.at, path, r.out.Namespace, t.HeadersFrom),
		GatesItself: found.value.Annotations[accessAnnotation] == "write",
		Audience:    found.value.Annotations[audienceAnnotation],
	})
}

// ofSecrets reports whether headers need values of Secrets. Those that
// an agent looks for are of its own namespace: whoever declares a server in
// another must not be the one who says which are sent there.
func ofSecrets(headers []kagent.ValueRef) bool {
	return slices.ContainsFunc(headers, func(h kagent.ValueRef) bool {
		return h.ValueFrom != nil && h.ValueFrom.Type == kagent.SecretValueSource
	})
}

// mayRefer reports whether objects of other namespaces may refer to one. Which
// labels a namespace has is for the controller to know.
func mayRefer(allowed *kagent.AllowedNamespaces) bool {
	return allowed != nil && allowed.From != kagent.NamespacesFromSame
}

func (r *resolution) agent(path string, t kagent.Tool) {
	k := key{t.Agent.Namespace, t.Agent.Name}
	found, ok := r.agents[k]
	if !ok {
		r.wrong(path+".name", "Agent %s is not declared%s", k, near(k, r.agents))
		return
	}
	if k.namespace != r.out.Namespace && !mayRefer(found.value.Spec.AllowedNamespaces) {
		r.wrong(path+".namespace", "Agent %s allows agents of its own namespace alone; see its spec.allowedNamespaces", k)
		return
	}
	headers := r.headers(r.own.at, path, r.out.Namespace, t.HeadersFrom)
	r.out.Agents = append(r.out.Agents, SubAgent{Agent: *found.value.DeepCopy(), Headers: headers, Here: !r.bare[k]})
}

// headers writes values out that ConfigMaps of the namespace hold. Secrets are
// looked for at each use.
func (r *resolution) headers(at document, path, namespace string, headers []kagent.ValueRef) []kagent.ValueRef {
	out := slices.Clone(headers)
	for i, h := range out {
		if from := h.ValueFrom; from != nil && from.Type == kagent.ConfigMapValueSource {
			text, err := r.configMapValue(namespace, from.Name, from.Key)
			if err != nil {
				r.problems = append(r.problems, at.errorf(path, "header %s: %v", h.Name, err))
			}
			text = trim(text)
			out[i] = kagent.ValueRef{Name: h.Name, Value: &text}
		}
	}
	return out
}

// cycle refuses agents that use themselves as a tool, on whatever way.
func (r *resolution) cycle() {
	start := key{r.out.Namespace, r.out.Name}
	seen := map[key]bool{}
	var walk func(k key, path []string)
	walk = func(k key, path []string) {
		path = append(slices.Clip(path), k.String())
		if k == start && len(path) > 1 {
			r.wrong("spec.declarative.tools", "the agent would ask itself: %s; take one of the tools away", strings.Join(path, " -> "))
			return
		}
		if seen[k] {
			return
		}
		seen[k] = true
		for _, t := range toolsOf(r.agents[k].value) {
			if t.Agent != nil {
				walk(key{t.Agent.Namespace, t.Agent.Name}, path)
			}
		}
	}
	walk(start, nil)
}

// near names what is there of a kind, for whoever has misspelt a name.
func near[T any](wanted key, there map[key]object[T]) string {
	var same, all []string
	for _, k := range sorted(there) {
		all = append(all, k.String())
		if k.name == wanted.name {
			same = append(same, k.String())
		}
	}
	switch {
	case len(all) == 0:
		return "; put its YAML beside the agent's"
	case len(same) > 0:
		return "; there is " + strings.Join(same, ", ") + ", in another namespace"
	}
	return "; there is " + strings.Join(all, ", ")
}

func sorted[T any](objects map[key]object[T]) []key {
	return slices.SortedFunc(maps.Keys(objects), func(a, b key) int { return strings.Compare(a.String(), b.String()) })
}
