package run

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/toolcrib/toolcrib/agentcore/model"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// offer is what the model may call. Nothing that it reads or says adds to it.
type offer struct {
	tools    []toolbox.Tool
	withheld []string // names of tools that access ReadOnly takes away
	problems []string
	schemas  map[string]*jsonschema.Resolved // by the schema's text, kept from offer to offer
}

// list lists the tools anew, as servers come and go.
func (w *work) list(ctx context.Context) {
	all, problems := w.Tools.List(ctx)
	schemas := w.offer.schemas
	if schemas == nil {
		schemas = map[string]*jsonschema.Resolved{}
	}
	o := offer{problems: problems, schemas: schemas}
	for _, t := range all {
		if w.access() == v1alpha1.AccessReadOnly && t.Class != toolbox.Read && !t.Agent {
			o.withheld = append(o.withheld, t.Name)
			continue
		}
		o.tools = append(o.tools, t)
	}
	w.offer = o
}

// access is the tighter of what policies allow and what whoever asked does.
func (w *work) access() v1alpha1.Access {
	if w.Agent.Limits.Access == v1alpha1.AccessReadOnly || w.question.Access == v1alpha1.AccessReadOnly {
		return v1alpha1.AccessReadOnly
	}
	if w.Agent.Limits.Access == v1alpha1.AccessWrite && (w.question.Access == "" || w.question.Access == v1alpha1.AccessWrite) {
		return v1alpha1.AccessWrite
	}
	return v1alpha1.AccessApprove
}

// granted is the access that an agent is held to which this one asks.
func (w *work) granted() v1alpha1.Access {
	if a := w.access(); a != v1alpha1.AccessWrite {
		return a
	}
	return "" // its own policy decides
}

// missing says what is not on offer, a line each.
func (o offer) missing() string {
	lines := slices.Clone(o.problems)
	if len(o.withheld) > 0 {
		lines = append(lines, "access is ReadOnly, so tools that write are left out: "+strings.Join(o.withheld, ", "))
	}
	return clip(strings.Join(lines, "\n"), reasonBytes)
}

// forModel is the offer as the model is told of it.
func (o offer) forModel() []model.Tool {
	out := make([]model.Tool, 0, len(o.tools))
	for _, t := range o.tools {
		out = append(out, model.Tool{Name: t.Name, Description: t.Description, Schema: t.Schema})
	}
	return out
}

// find is the offered tool of a name; the text says what to do if there is none.
func (o offer) find(name string) (toolbox.Tool, string) {
	var names []string
	for _, t := range o.tools {
		if t.Name == name {
			return t, ""
		}
		names = append(names, t.Name)
	}
	if slices.Contains(o.withheld, name) {
		return toolbox.Tool{}, fmt.Sprintf("%s was not called: it writes, and this agent may only read. Say in your answer what should be changed, and leave it to a person.", name)
	}
	text := fmt.Sprintf("There is no tool %q, so nothing was called.", clip(name, 100))
	switch near := mcpkit.Nearest(name, names); {
	case len(near) > 0:
		text += " The nearest names are " + strings.Join(near, ", ") + "."
	case len(names) == 0:
		text += " No tools are on offer: answer with what you know."
	default:
		text += " Call only the tools on offer: " + clip(strings.Join(names, ", "), 2000) + "."
	}
	return toolbox.Tool{}, text
}

// arguments are those of a call as the tool takes them; the text says what is
// wrong with them if they are not.
func (o offer) arguments(t toolbox.Tool, text string) (json.RawMessage, string) {
	if strings.TrimSpace(text) == "" {
		text = "{}"
	}
	if len(text) > argumentBytes {
		return nil, fmt.Sprintf("%s was not called: its arguments take %d bytes, more than the %d that are allowed.", t.Name, len(text), argumentBytes)
	}
	values, err := decode(text)
	if err != nil {
		return nil, fmt.Sprintf("%s was not called: its arguments are no JSON object (%s). Call it again with one.", t.Name, clip(err.Error(), 200))
	}
	if s := o.schema(t.Schema); s != nil {
		if err := s.Validate(plain(values)); err != nil {
			return nil, fmt.Sprintf("%s was not called: its arguments do not fit its schema: %s. Call it again with arguments that do.", t.Name, clip(err.Error(), 600))
		}
	}
	return json.RawMessage(text), ""
}

// schema is the text of a schema as something to check with; nil if it is one
// that we cannot read, whose server then has to.
func (o offer) schema(text json.RawMessage) *jsonschema.Resolved {
	if s, known := o.schemas[string(text)]; known {
		return s
	}
	var s jsonschema.Schema
	var r *jsonschema.Resolved
	if json.Unmarshal(text, &s) == nil {
		r, _ = s.Resolve(nil)
	}
	o.schemas[string(text)] = r
	return r
}

// decode reads a JSON object and nothing besides.
func decode(text string) (map[string]any, error) {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if v == nil {
		return nil, fmt.Errorf("it is null")
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("there is more after the object")
	}
	return v, nil
}

// plain is a value with numbers as Go has them, which is what schemas know.
func plain(v map[string]any) any {
	text, _ := json.Marshal(v) // it was JSON
	var out any
	_ = json.Unmarshal(text, &out)
	return out
}

// canonical is a JSON object with its keys in order; other text as it is.
func canonical(text string) string {
	v, err := decode(text)
	if err != nil {
		return text
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // it was JSON
	return strings.TrimSpace(b.String())
}
