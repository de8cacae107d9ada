package declared

import (
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/template"

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

// maxMessage bounds what a template makes of a message.
const maxMessage = 1 << 20

// fill fills in a template of Go's text/template, in which include "ALIAS/KEY"
// stands for a text that is taken as it is.
func fill(text string, texts map[string]string, v variables) (string, error) {
	include := func(name string) (string, error) {
		if text, ok := texts[name]; ok {
			return text, nil
		}
		return "", fmt.Errorf("there is no text %q to include; there are %s", name, strings.Join(slices.Sorted(maps.Keys(texts)), ", "))
	}
	name := rand.Text() // nobody can call it, so that it ends
	t, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{"include": include}).Parse(text)
	if err == nil && len(t.Templates()) > 1 {
		err = errors.New("it defines templates of its own; put their texts into a ConfigMap, and include them")
	}
	if err != nil {
		return "", fmt.Errorf("this is no template: %s", strings.ReplaceAll(err.Error(), name, "systemMessage"))
	}
	var out bounded
	if err := t.Execute(&out, v); err != nil {
		return "", fmt.Errorf("the template cannot be filled in: %s", strings.ReplaceAll(err.Error(), name, "systemMessage"))
	}
	return out.String(), nil
}

// bounded keeps a template from growing without end.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxMessage {
		return 0, errors.New("the message grows beyond 1 MiB")
	}
	return b.Builder.Write(p)
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
