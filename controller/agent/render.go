package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/labels"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// mostBytes is what the API server admits in a ConfigMap, less what the rest of
// it takes.
const mostBytes = 1<<20 - 16<<10

// document is an object as it is written into the configuration: what is
// declared, and nothing of how it came to be.
type document struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Metadata   documentMetadata  `json:"metadata"`
	Spec       any               `json:"spec,omitempty"`
	Data       map[string]string `json:"data,omitempty"`
}

type documentMetadata struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// render writes the configuration, of which the revision is a hash, and the
// template of the pods that serve it.
func (r *Reconciler) render(_ context.Context, w *work) error {
	var p problems
	w.files = map[string]string{}
	add := func(file string, d document) {
		text, err := yaml.Marshal(d)
		p.fail(err)
		w.files[file] = string(text)
	}
	template := r.template(w)
	judge(&p, &template)
	pod, err := hashOf(template)
	p.fail(err)
	add("agent.yaml", agentDocument(w, pod))
	for i, m := range w.references.models {
		file := "modelconfig.yaml"
		if i > 0 {
			file = "modelconfig-" + m.Name + ".yaml"
		}
		add(file, kagentDocument("ModelConfig", m.ObjectMeta, m.Spec))
	}
	for _, s := range w.references.servers {
		add("server-"+s.Namespace+"."+s.Name+".yaml", kagentDocument("RemoteMCPServer", s.ObjectMeta, s.Spec))
	}
	for _, a := range w.references.agents {
		add("agent-"+a.Namespace+"."+a.Name+".yaml", kagentDocument("Agent", a.ObjectMeta, card(a.Spec)))
	}
	for _, a := range w.references.policies {
		add("policy-"+a.Name+".yaml", document{v1alpha1.GroupVersion.String(), "AgentPolicy", documentMetadata{Name: a.Name, Namespace: a.Namespace}, a.Spec, nil})
	}
	for _, m := range w.references.configMaps {
		add("configmap-"+m.Name+".yaml", document{"v1", "ConfigMap", documentMetadata{Name: m.Name, Namespace: m.Namespace}, nil, m.Data})
	}
	if r.options.Prices != "" {
		w.files["prices.yaml"] = r.options.Prices
	}
	w.reach = destinations(w)
	if size := bytesOf(w.files); size > mostBytes {
		p.add("TooLarge", "the configuration is %d KiB large, and a ConfigMap holds %d; shorten the system message, or what promptTemplate includes", size>>10, mostBytes>>10)
	}
	if err := p.err(); err != nil {
		return err
	}
	w.revision = kagent.Revision(w.files)
	w.deployment = r.deploymentOf(w, stamped(template, w.Name, w.revision))
	return nil
}

// agentDocument is the Agent, with a hash of its pod, so that a revision is one
// of both and brings back both.
func agentDocument(w *work, pod string) document {
	d := kagentDocument("Agent", w.declared.ObjectMeta, w.declared.Spec)
	d.Metadata.Labels, d.Metadata.Annotations = neededLabels(w), map[string]string{labels.Pod: pod}
	return d
}

func kagentDocument(kind string, m metav1.ObjectMeta, spec any) document {
	annotations := map[string]string{}
	for _, key := range []string{labels.Audience, labels.Access} {
		if value, ok := m.Annotations[key]; ok {
			annotations[key] = value
		}
	}
	return document{kagent.GroupVersion.String(), kind, documentMetadata{Name: m.Name, Namespace: m.Namespace, Annotations: annotations}, spec, nil}
}

// neededLabels are the Agent's labels that policies look at: another would make
// a new revision of nothing new.
func neededLabels(w *work) map[string]string {
	out := map[string]string{}
	take := func(key string) {
		if value, ok := w.Labels[key]; ok {
			out[key] = value
		}
	}
	for _, p := range w.references.policies {
		for key := range p.Spec.AgentSelector.MatchLabels {
			take(key)
		}
		for _, e := range p.Spec.AgentSelector.MatchExpressions {
			take(e.Key)
		}
	}
	return out
}

// card is what another agent has to know of an agent to ask it.
func card(s kagent.AgentSpec) kagent.AgentSpec {
	out := kagent.AgentSpec{Type: kagent.AgentTypeDeclarative, Description: s.Description, Declarative: &kagent.DeclarativeAgentSpec{}}
	if s.Declarative != nil {
		out.Declarative.A2AConfig = s.Declarative.A2AConfig
	}
	return out
}

func hashOf(template corev1.PodTemplateSpec) (string, error) {
	text, err := json.Marshal(template)
	if err != nil {
		return "", fmt.Errorf("hash the template of pods: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:10], nil
}

func bytesOf(files map[string]string) int {
	n := 0
	for file, text := range files {
		n += len(file) + len(text)
	}
	return n
}

func keys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

// leadOut are the variables by which a pod is told of a proxy or a collector of
// traces.
var leadOut = []string{"HTTP_PROXY", "HTTPS_PROXY", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"}

// destinations are the URLs that the agent must reach.
func destinations(w *work) []string {
	var out []string
	for _, m := range w.references.models {
		out = append(out, endpoint(m.Spec))
	}
	for _, s := range w.references.servers {
		out = append(out, s.Spec.URL)
	}
	for _, a := range w.references.agents {
		out = append(out, fmt.Sprintf("http://%s.%s.svc:%d", a.Name, a.Namespace, port))
	}
	for _, e := range w.settings.env {
		if slices.Contains(leadOut, strings.ToUpper(e.Name)) {
			out = append(out, e.Value)
		}
	}
	for i, url := range out {
		out[i] = origin(url)
	}
	slices.Sort(out)
	return slices.Compact(slices.DeleteFunc(out, func(s string) bool { return strings.TrimSpace(s) == "" }))
}
