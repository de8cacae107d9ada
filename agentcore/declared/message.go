package declared

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
)

// variables are what a system message that is a template can name, as kagent
// has them. There are never skills, since none are served.
type variables struct {
	AgentName, AgentNamespace, Description string
	ToolNames, SkillNames                  []string
}

// systemMessage is the agent's system message, with its template filled in.
func (r *resolution) systemMessage() string {
	d := r.out.Spec.Declarative
	text, path := d.SystemMessage, "spec.declarative.systemMessage"
	if from := d.SystemMessageFrom; from != nil {
		path = "spec.declarative.systemMessageFrom"
		var err error
		if text, err = r.value(*from); err != nil {
			r.wrong(path, "%v", err)
			return ""
		}
	}
	if d.PromptTemplate == nil {
		return text
	}
	included := r.includes(d.PromptTemplate.DataSources)
	filled, err := fill(text, included, variables{
		AgentName: r.out.Name, AgentNamespace: r.out.Namespace, Description: r.out.Spec.Description, ToolNames: toolNames(d.Tools),
	})
	if err != nil {
		r.wrong(path, "%v", err)
	}
	return filled
}

func toolNames(tools []kagent.Tool) []string {
	var names []string
	for _, t := range tools {
		if t.MCPServer != nil {
			names = append(names, t.MCPServer.ToolNames...)
		}
	}
	return names
}

// includes are the texts that a template can include, by ALIAS/KEY.
func (r *resolution) includes(sources []kagent.PromptSource) map[string]string {
	texts := map[string]string{}
	for i, s := range sources {
		path := fmt.Sprintf("spec.declarative.promptTemplate.dataSources[%d].name", i)
		m, ok := r.configMaps[key{r.out.Namespace, s.Name}]
		if !ok {
			r.wrong(path, "ConfigMap %s/%s is not declared%s", r.out.Namespace, s.Name, near(key{r.out.Namespace, s.Name}, r.configMaps))
			continue
		}
		for name, text := range m.value.Data {
			texts[s.Alias+"/"+name] = text
		}
	}
	return texts
}

// value is what a ValueSource means.
func (r *resolution) value(from kagent.ValueSource) (string, error) {
	if from.Type == kagent.SecretValueSource {
		return r.out.Secrets.Secret(from.Name, from.Key)
	}
	return r.configMapValue(r.out.Namespace, from.Name, from.Key)
}

func (d *Directory) configMapValue(namespace, name, field string) (string, error) {
	k := key{namespace, name}
	m, ok := d.configMaps[k]
	if !ok {
		return "", fmt.Errorf("ConfigMap %s is not declared%s", k, near(k, d.configMaps))
	}
	text, ok := m.value.Data[field]
	if !ok {
		return "", fmt.Errorf("ConfigMap %s has no key %q; it has %s", k, field, strings.Join(slices.Sorted(maps.Keys(m.value.Data)), ", "))
	}
	return text, nil
}
