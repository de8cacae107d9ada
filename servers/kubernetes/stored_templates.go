package kubernetes

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

const revisionAnnotation = "deployment.kubernetes.io/revision"

// storedRevision is one stored version of a workload's pod template.
type storedRevision struct {
	number   int64
	name     string // of the ReplicaSet or ControllerRevision that holds it
	hash     string // that its pods carry as a label
	uid      string
	created  time.Time
	template mcpkit.Object // redacted
}

// newestFirst orders revisions by number.
func newestFirst(list []storedRevision) []storedRevision {
	slices.SortFunc(list, func(a, b storedRevision) int { return cmp.Compare(b.number, a.number) })
	return list
}

// replicaSetRevision is the revision a deployment's replica set holds.
func replicaSetRevision(ctx context.Context, rs *appsv1.ReplicaSet) storedRevision {
	number, _ := strconv.ParseInt(rs.Annotations[revisionAnnotation], 10, 64) // a set without one is the oldest
	r := storedRevision{number: number, name: rs.Name, uid: string(rs.UID), hash: rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey], created: rs.CreationTimestamp.Time}
	if template, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&rs.Spec.Template); err == nil {
		r.template = mcpkit.Redact(ctx, template)
	}
	return r
}

// deploymentRevisions lists the revisions of a deployment that are still
// stored, newest first.
func deploymentRevisions(ctx context.Context, c *clients, dep *appsv1.Deployment) ([]storedRevision, error) {
	selector, err := metav1.LabelSelectorAsSelector(dep.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("selector of deployment %s: %w", dep.Name, err)
	}
	var out []storedRevision
	err = each(ctx, c.typed.AppsV1().ReplicaSets(dep.Namespace).List, metav1.ListOptions{LabelSelector: selector.String()}, func(rs *appsv1.ReplicaSet) {
		if metav1.IsControlledBy(rs, dep) {
			out = append(out, replicaSetRevision(ctx, rs))
		}
	})
	return newestFirst(out), err
}

// controllerRevisions lists the revisions of a stateful set or daemon set that
// are still stored, newest first.
func controllerRevisions(ctx context.Context, c *clients, owner metav1.Object, selector *metav1.LabelSelector) ([]storedRevision, error) {
	parsed, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return nil, fmt.Errorf("selector of %s: %w", owner.GetName(), err)
	}
	var out []storedRevision
	err = each(ctx, c.typed.AppsV1().ControllerRevisions(owner.GetNamespace()).List, metav1.ListOptions{LabelSelector: parsed.String()}, func(cr *appsv1.ControllerRevision) {
		if !metav1.IsControlledBy(cr, owner) {
			return
		}
		r := storedRevision{number: cr.Revision, name: cr.Name, uid: string(cr.UID), created: cr.CreationTimestamp.Time}
		r.hash = cmp.Or(cr.Labels["controller.kubernetes.io/hash"], cr.Labels[appsv1.ControllerRevisionHashLabelKey])
		var stored struct {
			Spec struct{ Template mcpkit.Object }
		}
		if json.Unmarshal(cr.Data.Raw, &stored) == nil {
			r.template = mcpkit.Redact(ctx, stored.Spec.Template)
		}
		out = append(out, r)
	})
	return newestFirst(out), err
}

// templateDiff says how one pod template differs from another, one line a
// field, in the order of weight: images, then what else the containers run
// with, then the rest.
func templateDiff(before, after mcpkit.Object) []string {
	was, is := map[string]string{}, map[string]string{}
	flatten(was, "", map[string]any(before))
	flatten(is, "", map[string]any(after))
	var out []string
	for _, path := range sortedKeys(union(was, is)) {
		a, had := was[path]
		b, has := is[path]
		switch {
		case a == b && had == has:
		case !had:
			out = append(out, fieldName(path)+": added "+abridge(b, 120))
		case !has:
			out = append(out, fieldName(path)+": removed, was "+abridge(a, 120))
		default:
			out = append(out, fmt.Sprintf("%s: %s -> %s", fieldName(path), abridge(a, 120), abridge(b, 120)))
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(changeRank(a), changeRank(b)) })
	return out
}

func changeRank(line string) int {
	field, _, _ := strings.Cut(line, ": ")
	switch {
	case strings.HasSuffix(field, " image"):
		return 0
	case strings.HasPrefix(field, "container ") || strings.HasPrefix(field, "init container "):
		return 1
	case strings.HasPrefix(field, "label ") || strings.HasPrefix(field, "annotation "):
		return 3
	}
	return 2
}

func union[V any](a, b map[string]V) map[string]bool {
	out := map[string]bool{}
	for k := range a {
		out[k] = true
	}
	for k := range b {
		out[k] = true
	}
	return out
}

// flatten writes every leaf of v under its path. Items of lists go by name
// where they have one, so that a container or variable is compared with itself.
func flatten(out map[string]string, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for _, key := range sortedKeys(v) {
			if unchanging[key] {
				continue
			}
			flatten(out, path+"."+key, v[key])
		}
	case []any:
		for i, item := range v {
			name := itemName(item)
			if name == "" && !isMap(item) {
				out[path] = strings.TrimSpace(out[path] + " " + fmt.Sprint(item))
				continue
			}
			flatten(out, path+"["+cmp.Or(name, strconv.Itoa(i))+"]", withoutName(item, name))
		}
	case nil:
	default:
		if text := fmt.Sprint(v); path != "" {
			out[strings.TrimSuffix(path, ".value")] = text
		}
	}
}

// unchanging are fields of a template that differ without meaning a change.
var unchanging = map[string]bool{"pod-template-hash": true, "creationTimestamp": true, "$patch": true, "controller-revision-hash": true}

func isMap(v any) bool {
	_, is := v.(map[string]any)
	return is
}

func itemName(v any) string {
	m, _ := v.(map[string]any)
	for _, key := range []string{"name", "mountPath", "key", "containerPort", "topologyKey", "ip"} {
		if name, ok := m[key]; ok {
			return fmt.Sprint(name)
		}
	}
	return ""
}

// withoutName drops the name an item goes by from what is compared.
func withoutName(v any, name string) any {
	m, ok := v.(map[string]any)
	if !ok || m["name"] != name {
		return v
	}
	out := make(map[string]any, len(m))
	for k, x := range m {
		if k != "name" {
			out[k] = x
		}
	}
	if len(out) == 0 {
		return "present"
	}
	return out
}

// fieldName writes a path of a pod template the way people say it.
func fieldName(path string) string {
	path = strings.TrimPrefix(strings.TrimPrefix(path, "."), "spec.")
	for prefix, kind := range map[string]string{"containers[": "container ", "initContainers[": "init container ", "volumes[": "volume "} {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			continue
		}
		name, field, _ := strings.Cut(rest, "]")
		field = strings.TrimPrefix(field, ".")
		if env, ok := strings.CutPrefix(field, "env["); ok {
			field = "env " + strings.Replace(env, "]", "", 1)
		}
		return strings.TrimSpace(kind + name + " " + field)
	}
	for prefix, kind := range map[string]string{"metadata.labels.": "label ", "metadata.annotations.": "annotation "} {
		if rest, ok := strings.CutPrefix(path, prefix); ok {
			return kind + rest
		}
	}
	return path
}
