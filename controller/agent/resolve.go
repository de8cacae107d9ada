package agent

import (
	"context"
	"fmt"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/controller/nearest"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// references are the objects that an Agent refers to, normalised.
type references struct {
	models     []kagent.ModelConfig // the agent's first, then its summarizer's if that is another
	servers    []kagent.RemoteMCPServer
	agents     []kagent.Agent
	policies   []v1alpha1.AgentPolicy
	configMaps []corev1.ConfigMap
	secrets    []kagent.SecretKeyReference // that the pod mounts
	grants     []grant                     // that the agent needs
	byName     map[string]bool             // what is in the lists already
}

// once says whether the object is met for the first time.
func (r *references) once(kind, namespace, name string) bool {
	if r.byName == nil {
		r.byName = map[string]bool{}
	}
	key := kind + " " + namespace + "/" + name
	seen := r.byName[key]
	r.byName[key] = true
	return !seen
}

// resolver looks up what one Agent refers to.
type resolver struct {
	*Reconciler
	problems
	w *work
}

// resolve looks up everything that the Agent refers to. Its error names all
// that is wrong at once.
func (r *Reconciler) resolve(ctx context.Context, w *work) error {
	s := &resolver{Reconciler: r, w: w}
	d := w.declared.Spec.Declarative
	s.model(ctx, "spec.declarative.modelConfig", d.ModelConfig)
	if d.Context != nil && d.Context.Compaction != nil && d.Context.Compaction.Summarizer != nil {
		if name := d.Context.Compaction.Summarizer.ModelConfig; name != "" {
			s.model(ctx, "spec.declarative.context.compaction.summarizer.modelConfig", name)
		}
	}
	s.message(ctx, d)
	d.Tools = s.tools(ctx, d.Tools)
	s.cycles(ctx)
	s.account(ctx, d.Deployment)
	s.policies(ctx)
	return s.err()
}

func (s *resolver) model(ctx context.Context, path, name string) {
	namespace := s.w.Namespace
	if !s.w.references.once("ModelConfig", namespace, name) {
		return
	}
	m := kagent.ModelConfig{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	if !s.find(ctx, path, reference{"ModelConfig", "ModelConfigNotFound", &m, &kagent.ModelConfigList{}}) {
		return
	}
	if c := meta.FindStatusCondition(m.Status.Conditions, "Accepted"); c != nil && c.Status == metav1.ConditionFalse && c.ObservedGeneration == m.Generation {
		s.add("ModelConfigNotAccepted", "%s: ModelConfig %q cannot be used: %s", path, name, c.Message)
		return
	}
	if m.Normalise() != nil || !m.Spec.Provider.Served() {
		s.add("ModelConfigNotAccepted", "%s: ModelConfig %q cannot be used; its conditions say why", path, name)
		return
	}
	s.options.through(&m)
	s.w.references.models = append(s.w.references.models, m)
	if m.Spec.APIKeySecret != "" {
		s.secret(m.Spec.APIKeySecret, m.Spec.APIKeySecretKey)
	}
	s.authority(m.Spec.TLS)
}

// secret has the pod mount one key of a Secret of its namespace.
func (s *resolver) secret(name, key string) {
	if s.w.references.once("Secret", name, key) {
		s.w.references.secrets = append(s.w.references.secrets, kagent.SecretKeyReference{Name: name, Key: key})
	}
}

func (s *resolver) authority(t *kagent.TLSConfig) {
	if t != nil && t.CACertSecretRef != "" {
		s.secret(t.CACertSecretRef, t.CACertSecretKey)
	}
}

// message looks up the texts that the system message is made of.
func (s *resolver) message(ctx context.Context, d *kagent.DeclarativeAgentSpec) {
	if from := d.SystemMessageFrom; from != nil && from.Type == kagent.SecretValueSource {
		s.secret(from.Name, from.Key)
	} else if from != nil {
		if m := s.configMap(ctx, "spec.declarative.systemMessageFrom", s.w.Namespace, from.Name, from.Key); m != nil {
			s.carry(m)
		}
	}
	if d.PromptTemplate == nil {
		return
	}
	for i, source := range d.PromptTemplate.DataSources {
		if m := s.configMap(ctx, at("spec.declarative.promptTemplate.dataSources", i), s.w.Namespace, source.Name, ""); m != nil {
			s.carry(m)
		}
	}
}

func (s *resolver) carry(m *corev1.ConfigMap) {
	if s.w.references.once("ConfigMap", m.Namespace, m.Name) {
		s.w.references.configMaps = append(s.w.references.configMaps, *m)
	}
}

// configMap is the ConfigMap, which must have the key if one is named.
func (s *resolver) configMap(ctx context.Context, path, namespace, name, key string) *corev1.ConfigMap {
	var m corev1.ConfigMap
	err := s.fresh.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, &m)
	switch {
	case apierrors.IsNotFound(err):
		s.add("ConfigMapNotFound", "%s: there is no ConfigMap %q in namespace %q; make it", path, name, namespace)
		return nil
	case err != nil:
		s.fail(fmt.Errorf("read ConfigMap %s/%s: %w", namespace, name, err))
		return nil
	}
	if _, ok := m.Data[key]; key != "" && !ok {
		s.add("ConfigMapKeyNotFound", "%s: ConfigMap %q has no key %q; %s", path, name, key, nearest.Advice(key, keys(m.Data)))
		return nil
	}
	return &m
}

// account looks for the ServiceAccount that is to be there already.
func (s *resolver) account(ctx context.Context, d *kagent.DeclarativeDeploymentSpec) {
	if d == nil || d.ServiceAccountName == nil {
		return
	}
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ServiceAccount"))
	err := s.fresh.Get(ctx, client.ObjectKey{Namespace: s.w.Namespace, Name: *d.ServiceAccountName}, o)
	if apierrors.IsNotFound(err) {
		s.unseen("ServiceAccountNotFound", "%s.serviceAccountName: there is no ServiceAccount %q in namespace %q; make it, or leave the field out", settingsPath, *d.ServiceAccountName, s.w.Namespace)
	} else if err != nil {
		s.fail(fmt.Errorf("read ServiceAccount %s/%s: %w", s.w.Namespace, *d.ServiceAccountName, err))
	}
}

// policies are those of the namespace that name the Agent.
func (s *resolver) policies(ctx context.Context) {
	var list v1alpha1.AgentPolicyList
	s.fail(s.List(ctx, &list, client.InNamespace(s.w.Namespace)))
	for _, p := range list.Items {
		selector, err := metav1.LabelSelectorAsSelector(&p.Spec.AgentSelector)
		if err != nil {
			s.add("PolicyInvalid", "AgentPolicy %q may be meant for this agent, and its agentSelector cannot be read: %v", p.Name, err)
		} else if selector.Matches(labels.Set(s.w.Labels)) {
			s.w.references.policies = append(s.w.references.policies, p)
		}
	}
}

// reference is an object that the Agent names.
type reference struct {
	kind    string
	missing string            // the reason if there is none
	object  client.Object     // of that name; the rest is filled in
	like    client.ObjectList // for what there is instead
}

// find gets the object, and otherwise says what there is instead.
func (s *resolver) find(ctx context.Context, path string, r reference) bool {
	key := client.ObjectKeyFromObject(r.object)
	err := s.Get(ctx, key, r.object)
	if apierrors.IsNotFound(err) {
		s.add(r.missing, "%s: there is no %s %q in namespace %q; %s", path, r.kind, key.Name, key.Namespace, s.there(ctx, key.Name, r.like, key.Namespace))
	} else if err != nil {
		s.fail(fmt.Errorf("read %s %s: %w", r.kind, key, err))
	}
	return err == nil
}

// there says what of a kind there is in the namespace that is like name. Of
// another namespace it says nothing: whoever writes an Agent need not be let see
// what is there.
func (s *resolver) there(ctx context.Context, name string, list client.ObjectList, namespace string) string {
	if namespace != s.w.Namespace {
		return "ask whoever looks after that namespace what there is"
	}
	if err := s.List(ctx, list, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		s.fail(fmt.Errorf("list what is like %q: %w", name, err))
		return ""
	}
	var names []string
	s.fail(meta.EachListItem(list, func(o runtime.Object) error {
		names = append(names, o.(client.Object).GetName())
		return nil
	}))
	return nearest.Advice(name, names)
}
