package declared

import (
	"errors"
	"fmt"
	"strings"
	"text/template/parse"
)

// fill fills in a system message that is a template of Go's text/template. That
// package reads it, and what it does with it is done here for what system
// messages need: the package itself calls methods by names that it only learns
// at run time, so that the linker would keep every method of the program, 9 MB
// of them. What this knows of it, it does as the package does.
func fill(text string, texts map[string]string, v variables) (string, error) {
	trees, err := parse.Parse("systemMessage", text, "{{", "}}", functionNames)
	if err != nil {
		return "", fmt.Errorf("this is no template: %w", err)
	}
	tree := trees["systemMessage"]
	if len(trees) > 1 || tree == nil {
		return "", errors.New("the template defines templates of its own; put their texts into a ConfigMap, and include them")
	}
	root := map[string]any{
		"AgentName": v.AgentName, "AgentNamespace": v.AgentNamespace, "Description": v.Description, "ToolNames": v.ToolNames, "SkillNames": v.SkillNames,
	}
	f := filling{tree: tree, texts: texts, variables: []variable{{"$", root}}}
	if err := f.list(root, tree.Root); err != nil {
		return "", fmt.Errorf("the template cannot be filled in: %w", err)
	}
	return f.out.String(), nil
}

// maxMessage bounds what a template makes of a message, in bytes.
const maxMessage = 1 << 20

// filling is a template that is being filled in.
type filling struct {
	tree      *parse.Tree
	texts     map[string]string
	variables []variable
	out       strings.Builder
}

type variable struct {
	name  string
	value any
}

// The ways out of a range.
var errBreak, errContinue = errors.New("break"), errors.New("continue")

func (f *filling) wrong(n parse.Node, format string, args ...any) error {
	at, context := f.tree.ErrorContext(n)
	return fmt.Errorf("%s: at <%s>: %s", at, context, fmt.Sprintf(format, args...))
}

func (f *filling) write(text string) error {
	if f.out.Len()+len(text) > maxMessage {
		return errors.New("the message grows beyond 1 MiB")
	}
	f.out.WriteString(text)
	return nil
}

func (f *filling) list(dot any, list *parse.ListNode) error {
	if list == nil {
		return nil
	}
	for _, n := range list.Nodes {
		if err := f.node(dot, n); err != nil {
			return err
		}
	}
	return nil
}

func (f *filling) node(dot any, n parse.Node) error {
	switch n := n.(type) {
	case *parse.TextNode:
		return f.write(string(n.Text))
	case *parse.CommentNode:
		return nil
	case *parse.ActionNode:
		value, err := f.pipe(dot, n.Pipe)
		if err != nil || len(n.Pipe.Decl) > 0 {
			return err
		}
		return f.write(fmt.Sprint(value))
	case *parse.IfNode:
		return f.branch(dot, n.Pipe, func(any) error { return f.list(dot, n.List) }, n.ElseList)
	case *parse.WithNode:
		return f.branch(dot, n.Pipe, func(value any) error { return f.list(value, n.List) }, n.ElseList)
	case *parse.RangeNode:
		return f.branch(dot, n.Pipe, func(value any) error { return f.each(value, n) }, n.ElseList)
	case *parse.BreakNode:
		return errBreak
	case *parse.ContinueNode:
		return errContinue
	}
	return f.wrong(n, "a system message knows text, values, include, if, with and range")
}

// branch does one thing or the other, and forgets the variables that belong to
// it.
func (f *filling) branch(dot any, p *parse.PipeNode, then func(value any) error, otherwise *parse.ListNode) error {
	known := len(f.variables)
	defer func() { f.variables = f.variables[:known] }()
	value, err := f.pipe(dot, p)
	if err != nil {
		return err
	}
	if truth(value) {
		return then(value)
	}
	return f.list(dot, otherwise)
}

func (f *filling) each(value any, n *parse.RangeNode) error {
	items, ok := value.([]string)
	if !ok {
		return f.wrong(n.Pipe, "%T is no list to range over", value)
	}
	known := len(f.variables)
	for i, item := range items {
		switch d := n.Pipe.Decl; len(d) {
		case 1:
			f.variables = append(f.variables, variable{d[0].Ident[0], item})
		case 2:
			f.variables = append(f.variables, variable{d[0].Ident[0], i}, variable{d[1].Ident[0], item})
		}
		err := f.list(item, n.List)
		f.variables = f.variables[:known]
		if errors.Is(err, errBreak) {
			return nil
		}
		if err != nil && !errors.Is(err, errContinue) {
			return err
		}
	}
	return nil
}

// pipe is the value of commands, each of which gets that of the one before as
// its last argument.
func (f *filling) pipe(dot any, p *parse.PipeNode) (any, error) {
	var value any
	for i, c := range p.Cmds {
		var err error
		if value, err = f.command(dot, c, value, i > 0); err != nil {
			return nil, err
		}
	}
	for _, d := range p.Decl {
		if p.IsAssign {
			f.assign(d.Ident[0], value)
			continue
		}
		f.variables = append(f.variables, variable{d.Ident[0], value})
	}
	return value, nil
}

func (f *filling) assign(name string, value any) {
	for i := len(f.variables) - 1; i >= 0; i-- {
		if f.variables[i].name == name {
			f.variables[i].value = value
			return
		}
	}
}

func (f *filling) command(dot any, c *parse.CommandNode, last any, piped bool) (any, error) {
	called, isFunction := c.Args[0].(*parse.IdentifierNode)
	if !isFunction {
		if len(c.Args) > 1 || piped {
			return nil, f.wrong(c, "a value takes no arguments")
		}
		return f.argument(dot, c.Args[0])
	}
	var args []any
	for _, a := range c.Args[1:] {
		value, err := f.argument(dot, a)
		if err != nil {
			return nil, err
		}
		args = append(args, value)
	}
	if piped {
		args = append(args, last)
	}
	value, err := f.call(called.Ident, args)
	if err != nil {
		return nil, f.wrong(c, "%s: %v", called.Ident, err)
	}
	return value, nil
}

func (f *filling) argument(dot any, n parse.Node) (any, error) {
	switch n := n.(type) {
	case *parse.DotNode:
		return dot, nil
	case *parse.FieldNode:
		return f.field(n, dot, n.Ident)
	case *parse.VariableNode:
		for i := len(f.variables) - 1; i >= 0; i-- {
			if f.variables[i].name == n.Ident[0] {
				return f.field(n, f.variables[i].value, n.Ident[1:])
			}
		}
	case *parse.PipeNode:
		return f.pipe(dot, n)
	case *parse.StringNode:
		return n.Text, nil
	case *parse.BoolNode:
		return n.True, nil
	case *parse.IdentifierNode:
		return f.call(n.Ident, nil)
	case *parse.NumberNode:
		if n.IsInt {
			return int(n.Int64), nil
		}
	}
	return nil, f.wrong(n, "a system message has no use for this")
}

func (f *filling) field(n parse.Node, of any, names []string) (any, error) {
	for _, name := range names {
		fields, ok := of.(map[string]any)
		value, known := fields[name]
		if !ok || !known {
			return nil, f.wrong(n, "can't evaluate field %s: there are AgentName, AgentNamespace, Description, ToolNames and SkillNames", name)
		}
		of = value
	}
	return of, nil
}
