package helm

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// manifestObject is one object a release states.
type manifestObject struct {
	unstructured.Unstructured
	namespace string // of the release if the object names none; cluster-wide types have none all the same
}

// String names the object: "Deployment/web", "Role/x in namespace other".
func (o manifestObject) String() string { return o.GetKind() + "/" + o.GetName() }

// titled is String with the namespace, where that is not the release's.
func (o manifestObject) titled(namespace string) string {
	if o.namespace == namespace {
		return o.String()
	}
	return o.String() + " in namespace " + o.namespace
}

// key tells objects apart as the API server does. The version of its group is
// no part of it: v1beta1 and v1 of a name are one object.
func (o manifestObject) key() string {
	return strings.Join([]string{o.GroupVersionKind().Group, o.GetKind(), o.namespace, o.GetName()}, "/")
}

// parseManifest reads the objects of a rendered manifest in their order, those
// inside Lists one by one. What cannot be read is said in unreadable and hides
// nothing else.
func parseManifest(text, namespace string) (objects []manifestObject, unreadable []string) {
	documents := utilyaml.NewYAMLReader(bufio.NewReader(strings.NewReader(text)))
	for i := 1; ; i++ {
		raw, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return objects, unreadable
		}
		if err == nil {
			var found []manifestObject
			found, err = parseDocument(raw, namespace)
			objects = append(objects, found...)
		}
		if err != nil {
			unreadable = append(unreadable, fmt.Sprintf("document %d: %s", i, firstLine(err.Error())))
		}
	}
}

// parseDocument reads the object of one document, or those of a List, numbers
// as the API server's types want them.
func parseDocument(raw []byte, namespace string) ([]manifestObject, error) {
	asJSON, err := yaml.YAMLToJSON(raw)
	if err != nil {
		return nil, err
	}
	var v any
	if err := json.Unmarshal(asJSON, &v); err != nil || v == nil {
		return nil, err // nothing but comments
	}
	return objectsIn(v, namespace)
}

func objectsIn(v any, namespace string) ([]manifestObject, error) {
	m, ok := v.(map[string]any)
	if !ok {
		return nil, errors.New("not an object with apiVersion and kind")
	}
	o := unstructured.Unstructured{Object: m}
	if o.GetAPIVersion() == "" || o.GetKind() == "" {
		return nil, errors.New("not an object with apiVersion and kind")
	}
	items, isList := m["items"].([]any)
	if !isList || !strings.HasSuffix(o.GetKind(), "List") {
		return []manifestObject{{o, cmp.Or(o.GetNamespace(), namespace)}}, nil
	}
	var objects []manifestObject
	var wrong error
	for _, item := range items {
		found, err := objectsIn(item, namespace)
		objects, wrong = append(objects, found...), cmp.Or(wrong, err)
	}
	return objects, wrong
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return line
}
