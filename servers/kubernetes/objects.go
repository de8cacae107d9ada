package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic"
)

// pageSize is how many objects are asked of the API server at once; what is
// held of a large collection never exceeds one page.
const pageSize = 250

// Ref names one object.
type Ref struct {
	ResourceType string `json:"resource_type" jsonschema:"any type or short name: pods, deploy, widgets.example.com"`
	ResourceName string `json:"resource_name" jsonschema:"name of the object"`
	Namespace    string `json:"namespace,omitempty" jsonschema:"default if absent"`
}

// Target names the object in the record.
func (r Ref) Target() string { return named(r.ResourceType, r.Namespace, r.ResourceName) }

// Selection picks objects of a collection by label and field.
type Selection struct {
	LabelSelector string `json:"label_selector,omitempty" jsonschema:"such as app=web,tier!=db"`
	FieldSelector string `json:"field_selector,omitempty" jsonschema:"such as status.phase!=Running"`
}

// validate says what is wrong with a selector before the API server is asked.
func (s Selection) validate() error {
	if _, err := labels.Parse(s.LabelSelector); err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "label_selector: %w; write it like app=web,tier!=db or env in (a,b)", err)
	}
	if _, err := fields.ParseSelector(s.FieldSelector); err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "field_selector: %w; write it like status.phase=Pending", err)
	}
	return nil
}

// named names an object in messages: `deployments "web" in namespace "shop"`.
func named(kind, namespace, name string) string {
	out := kind
	if name != "" {
		out += fmt.Sprintf(" %q", name)
	}
	if namespace != "" {
		out += fmt.Sprintf(" in namespace %q", namespace)
	}
	return out
}

// scope is the namespace a call means: none for cluster-wide types, the
// configured one when the call names none.
func (c *clients) scope(t resourceType, namespace string) string {
	switch {
	case !t.Namespaced:
		return ""
	case namespace == "":
		return c.namespace
	}
	return namespace
}

// in is the dynamic client for t's objects in a namespace; every namespace if empty.
func (c *clients) in(t resourceType, namespace string) dynamic.ResourceInterface {
	if t.Namespaced && namespace != "" {
		return c.dynamic.Resource(t.GroupVersionResource).Namespace(namespace)
	}
	return c.dynamic.Resource(t.GroupVersionResource)
}

// get reads one object. When there is none of that name it says which are near.
func (b *Backend) get(ctx context.Context, ref Ref) (*unstructured.Unstructured, resourceType, error) {
	t, err := b.resolve(ctx, ref.ResourceType)
	if err != nil {
		return nil, t, err
	}
	c, err := b.open()
	if err != nil {
		return nil, t, err
	}
	ns := c.scope(t, ref.Namespace)
	if err := checkNames(ns, ref.ResourceName); err != nil {
		return nil, t, err
	}
	if ref.ResourceName == "" {
		return nil, t, mcpkit.Errorf(mcpkit.Invalid, "resource_name is empty; k8s_get_resources lists what there is")
	}
	mcpkit.SetTarget(ctx, named(t.String(), ns, ref.ResourceName))
	obj, err := c.in(t, ns).Get(ctx, ref.ResourceName, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, t, b.notFound(ctx, t, ns, ref.ResourceName)
	}
	return obj, t, translate(err, "get "+named(t.String(), ns, ref.ResourceName))
}

// notFound says that an object is not there and which names come near. The
// names cost one more list; being refused it only costs the hint.
func (b *Backend) notFound(ctx context.Context, t resourceType, namespace, name string) error {
	missing := "no " + named(t.String(), namespace, name)
	names, err := b.names(ctx, t, namespace)
	if err != nil {
		return mcpkit.Errorf(mcpkit.NotFound, "%s", missing)
	}
	if near := mcpkit.Nearest(name, names); len(near) > 0 {
		return mcpkit.Errorf(mcpkit.NotFound, "%s; the nearest names are %s", missing, strings.Join(near, ", "))
	}
	if len(names) == 0 {
		if err := b.requireNamespace(ctx, namespace); err != nil {
			return err
		}
		return mcpkit.Errorf(mcpkit.NotFound, "%s; there are none at all there", missing)
	}
	return mcpkit.Errorf(mcpkit.NotFound, "%s; there are %s%s", missing, strings.Join(names[:min(5, len(names))], ", "), more(len(names)-5))
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// requireNamespace says so when a namespace does not exist, which an empty list
// does not tell. Not being allowed to look is no reason to complain.
func (b *Backend) requireNamespace(ctx context.Context, namespace string) error {
	if err := checkNames(namespace); err != nil {
		return err
	}
	if namespace == "" {
		return nil
	}
	c, err := b.open()
	if err != nil {
		return err
	}
	_, err = c.typed.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		return nil
	}
	t, err := b.resolve(ctx, "namespaces")
	if err != nil {
		return err
	}
	return b.notFound(ctx, t, "", namespace)
}

// checkNames refuses what cannot be a part of a path to an object, before one
// is built from it.
func checkNames(names ...string) error {
	for _, n := range names {
		if faults := content.IsPathSegmentName(n); len(faults) > 0 {
			return mcpkit.Errorf(mcpkit.Invalid, "%s is not a name: it %s", shown(n), strings.Join(faults, ", it "))
		}
	}
	return nil
}

// names lists up to one page of names.
func (b *Backend) names(ctx context.Context, t resourceType, namespace string) ([]string, error) {
	page, err := b.tablePage(ctx, t, namespace, metav1.ListOptions{Limit: pageSize}, metav1.IncludeMetadata)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, row := range page.Rows {
		var m metav1.PartialObjectMetadata
		if json.Unmarshal(row.Object.Raw, &m) == nil {
			out = append(out, m.Name)
		}
	}
	return out, nil
}

const tableAccept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"

// tablePage asks the API server for one page of a collection as a table, so
// that every type, CRDs included, comes with its own columns.
func (b *Backend) tablePage(ctx context.Context, t resourceType, namespace string, o metav1.ListOptions, include metav1.IncludeObjectPolicy) (*metav1.Table, error) {
	return b.table(ctx, t.path(namespace, ""), "list "+named(t.String(), namespace, ""), o, include)
}

func (b *Backend) table(ctx context.Context, path, doing string, o metav1.ListOptions, include metav1.IncludeObjectPolicy) (*metav1.Table, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	req := c.rest.Get().AbsPath(path).SetHeader("Accept", tableAccept).
		SpecificallyVersionedParams(&o, metav1.ParameterCodec, metav1.Unversioned).
		Param("includeObject", string(include))
	res := req.Do(ctx)
	if err := res.Error(); err != nil { // unlike Raw's, it is the API server's own
		return nil, translate(err, doing)
	}
	raw, err := res.Raw()
	if err != nil {
		return nil, translate(err, doing)
	}
	var table metav1.Table
	if err := json.Unmarshal(raw, &table); err != nil || table.Kind != "Table" {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "the API server answered something else than a table when asked to %s; its aggregated API may be broken", doing)
	}
	return &table, nil
}

// answerMargin is what a call that had to stop early needs to say so.
const answerMargin = 2 * time.Second

// answerWithin bounds long work by limit and by what is left of the call's own
// time, so that there is still an answer about how far it came.
func answerWithin(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		limit = max(min(limit, time.Until(deadline)-answerMargin), 0)
	}
	return context.WithTimeout(ctx, limit)
}
