package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/json"
)

// listing gathers rows page by page and holds no more than one page and what it
// will answer.
type listing struct {
	b         *Backend
	t         resourceType
	in        GetResourcesIn
	namespace string // every namespace if empty
	fields    []field
	countBy   field
	sort      *sorter
	limit     int
	size      int // objects to ask for next
	columns   []column
	out       GetResourcesOut
}

// column makes one cell of a row.
type column struct {
	name string
	of   func(metav1.TableRow, *unstructured.Unstructured) string
}

func (b *Backend) newListing(ctx context.Context, in GetResourcesIn) (*listing, error) {
	if err := in.validate(); err != nil {
		return nil, err
	}
	l := &listing{b: b, in: in, limit: cmp.Or(in.Limit, 100)}
	l.out.Table = mcpkit.Table{Columns: []string{}, Rows: [][]string{}}
	for _, name := range in.Fields {
		f, err := parseField(name)
		if err != nil {
			return nil, err
		}
		l.fields = append(l.fields, f)
	}
	var err error
	if in.CountBy != "" {
		if l.countBy, err = parseField(in.CountBy); err != nil {
			return nil, err
		}
	}
	if in.SortBy != "" {
		if l.sort, err = newSorter(in.SortBy); err != nil {
			return nil, err
		}
	}
	l.size = mostPage
	if l.include() == metav1.IncludeObject {
		l.size = firstPage
	}
	return l, l.place(ctx)
}

// place finds out what is listed, and where.
func (l *listing) place(ctx context.Context) error {
	c, err := l.b.open()
	if err != nil {
		return err
	}
	if l.t, err = l.b.resolve(ctx, l.in.ResourceType); err != nil {
		return err
	}
	if !l.t.can("list") && l.in.ResourceName == "" {
		return mcpkit.Errorf(mcpkit.Invalid, "%s cannot be listed; the API server offers only %s", l.t, strings.Join(l.t.Verbs, ", "))
	}
	if !l.in.AllNamespaces {
		l.namespace = c.scope(l.t, l.in.Namespace)
	}
	return checkNames(l.namespace, l.in.ResourceName)
}

// include asks for whole objects only when a cell needs them.
func (l *listing) include() metav1.IncludeObjectPolicy {
	whole := l.in.CountBy != "" || l.sort != nil && l.sort.field.needsObject()
	for _, f := range l.fields {
		whole = whole || f.needsObject()
	}
	if whole {
		return metav1.IncludeObject
	}
	return metav1.IncludeMetadata
}

// one lists the single object named.
func (l *listing) one(ctx context.Context) error {
	if l.t.Namespaced && l.namespace == "" {
		return mcpkit.Errorf(mcpkit.Invalid, "name the namespace of %s %q instead of all_namespaces", l.t, l.in.ResourceName)
	}
	doing := "get " + named(l.t.String(), l.namespace, l.in.ResourceName)
	page, err := l.b.table(ctx, l.t.path(l.namespace, l.in.ResourceName), doing, metav1.ListOptions{}, l.include())
	if apierrors.IsNotFound(err) {
		return l.b.notFound(ctx, l.t, l.namespace, l.in.ResourceName)
	}
	if err != nil {
		return err
	}
	return l.add(ctx, page, page.Rows)
}

// list gathers rows until there are limit of them. Sorted, it sees every page
// but keeps only the first limit rows of the order.
func (l *listing) list(ctx context.Context) error {
	from, err := l.start()
	if err != nil {
		return err
	}
	for {
		page, err := l.page(ctx, from)
		if err != nil {
			return err
		}
		if from.Token == "" {
			from.Version = page.ResourceVersion
		}
		skipped := min(from.Skip, len(page.Rows))
		l.out.marks = append(l.out.marks, pageMark{len(l.out.Rows), resumeToken{from.List, from.Token, from.Version, skipped}})
		if err := l.add(ctx, page, page.Rows[skipped:]); err != nil {
			return err
		}
		full := l.sort == nil && len(l.out.Rows) >= l.limit
		if full || page.Continue == "" {
			l.stop(page.Continue)
			return nil
		}
		from = resumeToken{List: from.List, Token: page.Continue, Skip: from.Skip - skipped}
	}
}

// start is where the list begins or goes on.
func (l *listing) start() (resumeToken, error) {
	from, err := parseResume(l.in.Continue)
	switch {
	case err != nil || l.in.Continue == "":
	case l.sort != nil:
		err = mcpkit.Errorf(mcpkit.Invalid, "a sorted list has no next page; raise limit or narrow the selection")
	case from.List != l.identity():
		err = mcpkit.Errorf(mcpkit.Invalid, "continue is a token of another list; repeat the type, the namespace and the selectors of that one, or leave continue out")
	}
	from.List = l.identity()
	return from, err
}

// stop ends a listing, saying how to go on when more is there.
func (l *listing) stop(next string) {
	if l.sort != nil {
		l.out.Total = int64(l.sort.seen)
		if l.sort.seen > len(l.out.Rows) {
			l.out.Truncated = true
			l.out.LeftOut = fmt.Sprintf("rows: the first %d of %d by %s; raise limit or narrow the selection", len(l.out.Rows), l.sort.seen, l.in.SortBy)
		}
		return
	}
	switch {
	case len(l.out.Rows) > l.limit:
		l.out.Rows = l.out.Rows[:l.limit]
		l.out.Continue = l.out.ResumeAt(l.limit)
	case next != "":
		l.out.Continue = resumeToken{List: l.identity(), Token: next}.String()
	default:
		return
	}
	l.out.Truncated, l.out.LeftOut = true, getResources.Narrow
}

// Pages are sized by what they weigh: the first tells how heavy the objects
// are, and later ones hold about pageBytes of them.
const (
	firstPage = 50 // of whole objects
	mostPage  = 500
	pageBytes = 1 << 20
)

func (l *listing) page(ctx context.Context, from resumeToken) (*metav1.Table, error) {
	o := metav1.ListOptions{
		LabelSelector: l.in.LabelSelector,
		FieldSelector: l.in.FieldSelector,
		Limit:         int64(l.size),
		Continue:      from.Token,
	}
	if listed := l.sort == nil && l.in.CountBy == ""; listed {
		o.Limit = int64(min(l.size, from.Skip+l.limit-len(l.out.Rows)))
	}
	if from.Token == "" && from.Version != "" {
		o.ResourceVersion, o.ResourceVersionMatch = from.Version, metav1.ResourceVersionMatchExact
	}
	page, err := l.b.tablePage(ctx, l.t, l.namespace, o, l.include())
	if err != nil {
		return nil, err
	}
	if page.RemainingItemCount != nil && l.in.Continue == "" && from.Token == "" && l.in.CountBy == "" {
		l.out.Total = int64(len(page.Rows)) + *page.RemainingItemCount
	}
	bytes := 0
	for _, row := range page.Rows {
		bytes += len(row.Object.Raw)
	}
	if bytes > 0 {
		l.size = min(max(1, len(page.Rows)*pageBytes/bytes), mostPage)
	}
	return page, nil
}

// add turns rows of the API server's table into ours.
func (l *listing) add(ctx context.Context, page *metav1.Table, rows []metav1.TableRow) error {
	if l.columns == nil {
		if err := l.bind(ctx, page.ColumnDefinitions); err != nil {
			return err
		}
	}
	for _, row := range rows {
		o := rowObject(row)
		cells := make([]string, 0, len(l.columns))
		for _, c := range l.columns {
			cells = append(cells, c.of(row, o))
		}
		if l.sort != nil {
			l.out.Rows = l.sort.insert(l.out.Rows, cells, row, o, l.limit)
			continue
		}
		l.out.Rows = append(l.out.Rows, cells)
	}
	return nil
}

// bind fixes the columns by the API server's definitions, which come with the
// first page.
func (l *listing) bind(ctx context.Context, definitions []metav1.TableColumnDefinition) error {
	l.columns = []column{}
	if l.t.Namespaced && l.namespace == "" {
		l.columns = append(l.columns, column{"namespace", func(_ metav1.TableRow, o *unstructured.Unstructured) string { return o.GetNamespace() }})
	}
	for i, d := range definitions {
		shown := d.Priority == 0 || l.in.Output == "wide"
		if l.in.Output == "names" {
			shown = i == 0
		}
		if shown {
			l.columns = append(l.columns, tableColumn(definitions, i))
		}
	}
	for _, f := range l.fields {
		c, err := f.column(ctx, definitions)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(l.columns, func(have column) bool { return have.name == c.name }) {
			l.columns = append(l.columns, c)
		}
	}
	for _, c := range l.columns {
		l.out.Columns = append(l.out.Columns, c.name)
	}
	if l.sort != nil {
		return l.sort.bind(ctx, definitions)
	}
	return nil
}

// tableColumn is the i-th of the API server's columns.
func tableColumn(definitions []metav1.TableColumnDefinition, i int) column {
	return column{columnName(definitions[i].Name), func(row metav1.TableRow, _ *unstructured.Unstructured) string {
		if i < len(row.Cells) {
			return cellText(row.Cells[i])
		}
		return ""
	}}
}

// columnName is a column's name as an argument would spell it.
func columnName(name string) string {
	return strings.ToLower(strings.ReplaceAll(strings.TrimSpace(name), " ", "_"))
}

func rowObject(row metav1.TableRow) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(row.Object.Raw, &o.Object); err != nil || o.Object == nil {
		o.Object = map[string]any{}
	}
	return o
}
