package kubernetes

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

var getResources = mcpkit.Tool{
	Name:        "k8s_get_resources",
	Title:       "List Kubernetes objects",
	Description: "Lists objects of any type as a table, or counts them by a field: fields=[\"images\"] shows images, count_by=\"images\" answers which images run where. For why something is broken use k8s_diagnose, for one whole object k8s_get_resource_yaml.",
	Narrow:      "select with namespace, label_selector or field_selector, count with count_by, or pass continue for the next page",
	Rules:       readable,
}

type GetResourcesIn struct {
	ResourceType  string `json:"resource_type" jsonschema:"any type or short name: pods, deploy, widgets.example.com"`
	ResourceName  string `json:"resource_name,omitempty" jsonschema:"one object; all if absent"`
	Namespace     string `json:"namespace,omitempty" jsonschema:"default if absent"`
	AllNamespaces bool   `json:"all_namespaces,omitempty"`
	Selection
	Output   string   `json:"output,omitempty" jsonschema:"wide adds columns; names lists names alone"`
	Fields   []string `json:"fields,omitempty" jsonschema:"extra columns: images, restarts, reason, node, owner, labels, or JSONPath like .spec.replicas"`
	CountBy  string   `json:"count_by,omitempty" jsonschema:"count objects by one such field instead of listing them"`
	SortBy   string   `json:"sort_by,omitempty" jsonschema:"a column or field; -NAME for descending"`
	Limit    int      `json:"limit,omitempty" jsonschema:"most rows; 100 if absent"`
	Continue string   `json:"continue,omitempty" jsonschema:"from the last answer"`
}

func (GetResourcesIn) Constrain(p mcpkit.Properties) {
	p["all_namespaces"].Description = "every namespace"
	p["output"].Enum = []any{"table", "wide", "names"}
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(1000.0)
}

type GetResourcesOut struct {
	Total int64 `json:"total,omitempty" jsonschema:"how many match, where the API server says"`
	mcpkit.Left
	mcpkit.Table

	marks []pageMark
}

// ResumeAt is the continue token of the first row that was not kept.
func (o GetResourcesOut) ResumeAt(kept int) string {
	for _, m := range slices.Backward(o.marks) {
		if m.at <= kept {
			return resumeToken{m.token, m.skip + kept - m.at}.String()
		}
	}
	return ""
}

func (b *Backend) getResources(ctx context.Context, in GetResourcesIn) (GetResourcesOut, error) {
	if err := in.validate(); err != nil {
		return GetResourcesOut{}, err
	}
	t, err := b.resolve(ctx, in.ResourceType)
	if err != nil {
		return GetResourcesOut{}, err
	}
	l, err := b.newListing(ctx, t, in)
	if err != nil {
		return GetResourcesOut{}, err
	}
	mcpkit.SetTarget(ctx, named(t.String(), l.namespace, in.ResourceName))
	switch {
	case in.ResourceName != "":
		err = l.one(ctx)
	case in.CountBy != "":
		return l.count(ctx)
	default:
		err = l.pages(ctx)
	}
	return l.out, err
}

// listing gathers rows page by page and holds no more than it will answer.
type listing struct {
	b         *Backend
	t         resourceType
	in        GetResourcesIn
	namespace string
	fields    []field
	sort      *sorter
	limit     int
	out       GetResourcesOut
}

func (b *Backend) newListing(ctx context.Context, t resourceType, in GetResourcesIn) (*listing, error) {
	c, err := b.open()
	if err != nil {
		return nil, err
	}
	l := &listing{b: b, t: t, in: in, limit: cmp.Or(in.Limit, 100)}
	if !in.AllNamespaces {
		l.namespace = c.scope(t, in.Namespace)
	}
	for _, f := range in.Fields {
		parsed, err := parseField(f)
		if err != nil {
			return nil, err
		}
		l.fields = append(l.fields, parsed)
	}
	if in.SortBy != "" {
		if l.sort, err = newSorter(in.SortBy); err != nil {
			return nil, err
		}
	}
	return l, nil
}

// include asks for whole objects only when a field needs them.
func (l *listing) include() metav1.IncludeObjectPolicy {
	if len(l.fields) > 0 || l.in.CountBy != "" || l.sort != nil && l.sort.field != nil {
		return metav1.IncludeObject
	}
	return metav1.IncludeMetadata
}

// one lists the single object named.
func (l *listing) one(ctx context.Context) error {
	doing := "get " + named(l.t.String(), l.namespace, l.in.ResourceName)
	if l.t.Namespaced && l.namespace == "" {
		return mcpkit.Errorf(mcpkit.Invalid, "name the namespace of %s %q instead of all_namespaces", l.t, l.in.ResourceName)
	}
	page, err := l.b.table(ctx, l.t.path(l.namespace, l.in.ResourceName), doing, metav1.ListOptions{}, l.include())
	if apierrors.IsNotFound(err) {
		return l.b.notFound(ctx, l.t, l.namespace, l.in.ResourceName)
	}
	if err != nil {
		return err
	}
	l.add(page, page.Rows)
	return nil
}

// pages lists until limit rows are gathered. Sorted, it sees every page but
// keeps only the first limit rows of the order.
func (l *listing) pages(ctx context.Context) error {
	from, err := parseResume(l.in.Continue)
	if err != nil {
		return err
	}
	if l.sort != nil && l.in.Continue != "" {
		return mcpkit.Errorf(mcpkit.Invalid, "a sorted list has no next page; raise limit or narrow the selection")
	}
	for {
		page, err := l.page(ctx, from.Token)
		if err != nil {
			return err
		}
		rows := page.Rows[min(from.Skip, len(page.Rows)):]
		l.out.marks = append(l.out.marks, pageMark{at: len(l.out.Rows), token: from.Token, skip: from.Skip})
		l.add(page, rows)
		next := page.Continue
		if l.sort == nil && len(l.out.Rows) >= l.limit {
			return l.stop(next != "")
		}
		if next == "" {
			return l.stop(false)
		}
		from = resumeToken{Token: next}
	}
}

// stop ends a listing, saying how to go on when more is there.
func (l *listing) stop(morePages bool) error {
	if l.sort != nil {
		l.out.Total = int64(l.sort.seen)
		l.out.Truncated = l.sort.seen > len(l.out.Rows)
		if l.out.Truncated {
			l.out.LeftOut = fmt.Sprintf("rows: the first %d of %d by %s; raise limit or narrow the selection", len(l.out.Rows), l.sort.seen, l.in.SortBy)
		}
		return nil
	}
	cut := len(l.out.Rows) > l.limit
	if cut {
		l.out.Rows = l.out.Rows[:l.limit]
	}
	if l.out.Truncated = cut || morePages; l.out.Truncated {
		l.out.Continue = l.out.ResumeAt(len(l.out.Rows))
		l.out.LeftOut = getResources.Narrow
	}
	return nil
}

func (l *listing) page(ctx context.Context, token string) (*metav1.Table, error) {
	page, err := l.b.tablePage(ctx, l.t, l.namespace, metav1.ListOptions{
		LabelSelector: l.in.LabelSelector,
		FieldSelector: l.in.FieldSelector,
		Limit:         pageSize,
		Continue:      token,
	}, l.include())
	if err == nil && page.RemainingItemCount != nil && l.out.Total == 0 && l.in.Continue == "" {
		l.out.Total = int64(len(page.Rows)) + *page.RemainingItemCount
	}
	return page, err
}

// add turns rows of the API server's table into ours.
func (l *listing) add(page *metav1.Table, rows []metav1.TableRow) {
	keep := l.columns(page)
	for _, row := range rows {
		obj := rowObject(row)
		var cells []string
		if l.t.Namespaced && l.namespace == "" {
			cells = append(cells, obj.GetNamespace())
		}
		for _, i := range keep {
			cells = append(cells, cellText(row.Cells[i]))
		}
		for _, f := range l.fields {
			cells = append(cells, f.of(obj))
		}
		if l.sort != nil {
			l.out.Rows = l.sort.insert(l.out.Rows, l.out.Columns, cells, obj, l.limit)
			continue
		}
		l.out.Rows = append(l.out.Rows, cells)
	}
}

// columns fixes the header at the first page and returns which of the API
// server's columns are shown.
func (l *listing) columns(page *metav1.Table) []int {
	var keep []int
	var header []string
	if l.t.Namespaced && l.namespace == "" {
		header = append(header, "namespace")
	}
	for i, c := range page.ColumnDefinitions {
		shown := c.Priority == 0 || l.in.Output == "wide"
		if l.in.Output == "names" {
			shown = i == 0
		}
		if shown {
			keep = append(keep, i)
			header = append(header, strings.ToLower(strings.ReplaceAll(c.Name, " ", "_")))
		}
	}
	for _, f := range l.fields {
		header = append(header, f.name)
	}
	if l.out.Columns == nil {
		l.out.Columns, l.out.Rows = header, [][]string{}
	}
	return keep
}

func rowObject(row metav1.TableRow) *unstructured.Unstructured {
	obj := &unstructured.Unstructured{}
	if err := json.Unmarshal(row.Object.Raw, &obj.Object); err != nil {
		obj.Object = map[string]any{}
	}
	return obj
}

func cellText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	if v == nil {
		return ""
	}
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// pageMark remembers which row a page began at, and how to ask for it again.
type pageMark struct {
	at    int
	token string
	skip  int
}

// resumeToken continues a list in the middle of one of the API server's pages.
type resumeToken struct {
	Token string `json:"t,omitempty"`
	Skip  int    `json:"s,omitempty"`
}

func (r resumeToken) String() string {
	raw, _ := json.Marshal(r) // two plain fields always encode
	return base64.RawURLEncoding.EncodeToString(raw)
}

func parseResume(s string) (resumeToken, error) {
	var r resumeToken
	if s == "" {
		return r, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		err = json.Unmarshal(raw, &r)
	}
	if err != nil || r.Skip < 0 {
		return r, mcpkit.Errorf(mcpkit.Invalid, "continue is not a token of an earlier answer; leave it out to start again")
	}
	return r, nil
}
