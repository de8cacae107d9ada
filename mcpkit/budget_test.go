package mcpkit

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/stretchr/testify/require"
)

// manyOut has every shape a result can have.
type manyOut struct {
	Title string   `json:"title"`
	Count int      `json:"count"`
	Names []string `json:"names"`
	Table
	Parts  []partOut         `json:"parts,omitempty"`
	Usage  *Table            `json:"usage,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
	Object Object            `json:"object,omitempty"`
	Log    string            `json:"log,omitempty"`
	Left
}

type partOut struct {
	Name  string   `json:"name"`
	Log   string   `json:"log,omitempty"`
	Notes []string `json:"notes"`
}

// ResumeAt counts rows.
func (manyOut) ResumeAt(kept int) string { return strconv.Itoa(kept) }

// KeepTail names what is in time order.
func (manyOut) KeepTail() []string { return []string{"log"} }

type generator struct{ *rand.Rand }

func (g generator) text(most int) string {
	b := make([]byte, g.IntN(most+1))
	for i := range b {
		b[i] = "abc \n\t\"\\<é\x00"[g.IntN(12)]
	}
	return strings.ToValidUTF8(string(b), "?")
}

func (g generator) texts(most, long int) []string {
	out := make([]string, g.IntN(most+1))
	for i := range out {
		out[i] = g.text(long)
	}
	return out
}

func (g generator) table(most, long int) Table {
	t := Table{Columns: []string{"a", "b", "c"}}
	for range g.IntN(most + 1) {
		t.Rows = append(t.Rows, []string{g.text(long), g.text(long), g.text(long)})
	}
	return t
}

func (g generator) out() manyOut {
	scale := []int{1, 10, 100, 1000}[g.IntN(4)]
	o := manyOut{Title: g.text(40), Count: g.Int(), Table: g.table(scale, 60)}
	if g.IntN(2) == 0 {
		o.Names = g.texts(scale, 100)
	}
	for range g.IntN(scale/5 + 1) {
		o.Parts = append(o.Parts, partOut{Name: g.text(20), Log: g.text(scale), Notes: g.texts(3, 200)})
	}
	if g.IntN(3) == 0 {
		t := g.table(scale, 200)
		o.Usage = &t
	}
	if g.IntN(3) == 0 {
		o.Labels, o.Object = map[string]string{}, Object{"spec": map[string]any{"deep": []any{1.5, nil, g.texts(scale, 50)}}}
		for i := range g.IntN(scale * 3) {
			o.Labels[fmt.Sprintf("key-%d", i)] = g.text(30)
		}
	}
	if g.IntN(2) == 0 {
		o.Log = strings.Repeat(g.text(100)+"\n", g.IntN(scale+1))
	}
	return o
}

func manyTool() (*tool, *jsonschema.Resolved) {
	t := &tool{Tool: Tool{Name: "x_get_many", Narrow: "name a namespace"}, output: inferOutput[manyOut]("x_get_many")}
	resolved, err := t.output.CloneSchemas().Resolve(nil)
	if err != nil {
		panic(err)
	}
	return t, resolved
}

// requireFits is what the budget promises about any result.
func requireFits(t *testing.T, o manyOut, max int) {
	t.Helper()
	tool, schema := manyTool()
	root, err := toNode(o)
	require.NoError(t, err)
	root.conform(tool.output)
	whole := answerSize(root)
	cut, err := fit(root, o, tool, max)
	if err != nil {
		var known *Error
		require.ErrorAs(t, err, &known)
		require.Equal(t, TooLarge, known.Kind)
		require.Greater(t, whole, max)
		return
	}
	raw, err := root.MarshalJSON()
	require.NoError(t, err)
	require.LessOrEqual(t, answerSize(root), max)
	var any any
	require.NoError(t, json.Unmarshal(raw, &any))
	require.NoError(t, schema.Validate(any))
	var got manyOut
	require.NoError(t, json.Unmarshal(raw, &got))
	require.Equal(t, cut, got.Truncated)
	require.Equal(t, whole > max, cut)
	requirePart(t, o, got)
}

// requirePart holds a cut result against the whole: rows from the front and
// never in part, the log from its end, continue where the rows end.
func requirePart(t *testing.T, whole, got manyOut) {
	t.Helper()
	require.Equal(t, whole.Columns, got.Columns)
	for i, row := range got.Rows {
		require.Len(t, row, 3)
		requireSameOrDropped(t, whole.Rows[i], row)
	}
	if len(got.Rows) < len(whole.Rows) {
		require.Equal(t, strconv.Itoa(len(got.Rows)), got.Continue)
		require.Contains(t, got.LeftOut, "name a namespace")
	} else {
		require.Empty(t, got.Continue)
	}
	if got.Log != whole.Log && !strings.HasSuffix(got.Log, "bytes left out)") {
		require.True(t, strings.HasSuffix(whole.Log, "\n"+got.Log), "%q is not the tail", got.Log)
	}
}

func requireSameOrDropped(t *testing.T, whole, got []string) {
	t.Helper()
	for i := range got {
		if got[i] != whole[i] && !strings.Contains(got[i], "bytes left out)") {
			require.True(t, strings.HasPrefix(whole[i], got[i]+"\n"), "%q is no line-wise part of %q", got[i], whole[i])
		}
	}
}

func TestAnyResultFitsItsBudget(t *testing.T) {
	for seed := range uint64(150) {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		requireFits(t, g.out(), 1024+g.IntN(8<<10))
	}
}

func FuzzFit(f *testing.F) {
	f.Add(uint64(1), 2048)
	f.Add(uint64(7), 1024)
	f.Fuzz(func(t *testing.T, seed uint64, max int) {
		if max < minResultBytes || max > 64<<10 {
			return
		}
		requireFits(t, generator{rand.New(rand.NewPCG(seed, 2))}.out(), max)
	})
}

func TestSmallResultsStayWhole(t *testing.T) {
	o := manyOut{Title: "t", Log: "a\nb"}
	root, err := toNode(o)
	require.NoError(t, err)
	tool, _ := manyTool()
	root.conform(tool.output)
	before := root.String()
	cut, err := fit(root, o, tool, 1024)
	require.NoError(t, err)
	require.False(t, cut)
	require.Equal(t, before, root.String())
}

func TestLogsKeepTheirEnd(t *testing.T) {
	var log strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&log, "line %d\n", i)
	}
	o := manyOut{Title: "t", Log: log.String() + "the cause"}
	root, err := toNode(o)
	require.NoError(t, err)
	tool, _ := manyTool()
	root.conform(tool.output)
	cut, err := fit(root, o, tool, 2048)
	require.NoError(t, err)
	require.True(t, cut)
	kept := root.get("log").text
	require.True(t, strings.HasSuffix(kept, "line 999\nthe cause"), kept)
	require.Equal(t, fmt.Sprintf("log: %d of 1001 lines shown; name a namespace", strings.Count(kept, "\n")+1), root.get("left_out").text)
	require.Greater(t, answerSize(root), 1800, "the budget is used")
}

func TestAResultThatCannotBeCutIsTooLarge(t *testing.T) {
	type stiff struct {
		A [40]string `json:"a"`
	}
	var o stiff
	for i := range o.A {
		o.A[i] = strings.Repeat("x", 60)
	}
	tool := &tool{Tool: Tool{Narrow: "ask for one"}, output: inferOutput[stiff]("x")}
	root, err := toNode(o)
	require.NoError(t, err)
	_, err = fit(root, o, tool, 1024)
	require.EqualError(t, err, "too_large: the answer takes 5049 bytes of the 1024 allowed and cannot be cut to fit; ask for one")
}

func TestNilBecomesWhatTheSchemaSays(t *testing.T) {
	root, err := toNode(manyOut{Parts: []partOut{{Name: "a"}}})
	require.NoError(t, err)
	tool, schema := manyTool()
	root.conform(tool.output)
	require.Equal(t, `{"title":"","count":0,"names":[],"columns":[],"rows":[],"parts":[{"name":"a","notes":[]}],"truncated":false}`, root.String())
	var v any
	require.NoError(t, json.Unmarshal([]byte(root.String()), &v))
	require.NoError(t, schema.Validate(v))
}

func TestCutText(t *testing.T) {
	for _, max := range []int{10, 40, 100, 1000} {
		text, cut := cutText(strings.Repeat("a line of text\n", 100), max)
		require.True(t, cut)
		require.LessOrEqual(t, len(text), max)
	}
	text, cut := cutText("short", 10)
	require.False(t, cut)
	require.Equal(t, "short", text)
	text, _ = cutText(strings.Repeat("a line of text\n", 10), 90)
	require.Equal(t, "a line of text\na line of text\na line of text\na line of text\n(59 of 150 bytes shown)", text)
}
