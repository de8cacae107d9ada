package declared

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yamlnode "go.yaml.in/yaml/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// document is one object as it is written in a file.
type document struct {
	file string
	text []byte // with an empty line for each line of the file before it
	json []byte
	root *yamlnode.Node // nil if it cannot be read
	kind metav1.TypeMeta
	name key
}

// separator is the line between two documents of a file.
var separator = regexp.MustCompile(`(?m)^---(?:[ \t].*)?\r?$`)

// split cuts a file into its documents. Each keeps the line numbers of the file.
func split(file string, content []byte) []document {
	var docs []document
	start := 0
	cut := func(end int) {
		lines := bytes.Count(content[:start], []byte("\n"))
		text := append(bytes.Repeat([]byte("\n"), lines), content[start:end]...)
		docs = append(docs, document{file: file, text: text})
	}
	for _, found := range separator.FindAllIndex(content, -1) {
		cut(found[0])
		start = found[1]
	}
	cut(len(content))
	return docs
}

// yamlLine is how the YAML library begins to say what is wrong.
var yamlLine = regexp.MustCompile(`(?s)^(?:error converting YAML to JSON: )?yaml: (?:unmarshal errors:\s*)?line (\d+): (.*)$`)

// parse reads what kind of object the document is.
func (d *document) parse() error {
	var err error
	if d.json, err = yaml.YAMLToJSONStrict(d.text); err != nil {
		if found := yamlLine.FindStringSubmatch(err.Error()); found != nil {
			return fmt.Errorf("%s:%s: %s", d.file, found[1], strings.TrimSpace(found[2]))
		}
		return fmt.Errorf("%s: %w", d.file, err)
	}
	d.root = new(yamlnode.Node)
	if err := yamlnode.Unmarshal(d.text, d.root); err != nil {
		d.root = nil // it is JSON after all: only its lines stay unknown
	}
	if d.empty() {
		return nil
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(d.json, &d.kind); err != nil || d.kind.Kind == "" || d.kind.APIVersion == "" {
		return d.errorf("", "this is no object with apiVersion and kind")
	}
	var named struct {
		Metadata metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.UnmarshalCaseSensitivePreserveInts(d.json, &named); err == nil {
		d.name = key{cmp.Or(named.Metadata.Namespace, metav1.NamespaceDefault), named.Metadata.Name}
	}
	return nil
}

func (d *document) empty() bool { return string(bytes.TrimSpace(d.json)) == "null" }

// unknownField is how the JSON library names a field that a type does not have.
var unknownField = regexp.MustCompile(`^(unknown|duplicate) field "(.*)"$`)

// decode reads the document into a type and refuses what the type does not have.
func (d *document) decode(into any) []error {
	strict, err := json.UnmarshalStrict(d.json, into)
	if err != nil {
		return []error{d.errorf(d.wrongField(err), "%v", err)}
	}
	var problems []error
	for _, err := range strict {
		if found := unknownField.FindStringSubmatch(err.Error()); found != nil {
			problems = append(problems, d.errorf(found[2], "%s has no such field; remove it, or correct its name", d.kind.Kind))
			continue
		}
		problems = append(problems, d.errorf("", "%v", err))
	}
	return problems
}

// ofField is how the JSON library says where a value of a wrong type is.
var ofField = regexp.MustCompile(` field (?:\S+?\.)?([a-zA-Z0-9_.]+) of type`)

func (d *document) wrongField(err error) string {
	if found := ofField.FindStringSubmatch(err.Error()); found != nil {
		return found[1]
	}
	return ""
}

// locate puts file and line before each of the problems of an object, which
// begin with the path of a field.
func (d *document) locate(err error) []error {
	if err == nil {
		return nil
	}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		all = joined.Unwrap()
	}
	for i, err := range all {
		path, text, ok := strings.Cut(err.Error(), ": ")
		if !ok || strings.ContainsAny(path, " \n") {
			path, text = "", err.Error()
		}
		all[i] = d.errorf(path, "%s", text)
	}
	return all
}

// errorf is a problem with the field at path.
func (d document) errorf(path, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	if path != "" {
		text = path + ": " + text
	}
	if d.name.name != "" {
		text = fmt.Sprintf("%s %s: %s", d.kind.Kind, d.name, text)
	}
	return errors.New(d.place(path) + ": " + text)
}

// place is FILE:LINE of the field at path, or of what is nearest above it.
func (d document) place(path string) string {
	if d.root == nil || len(d.root.Content) == 0 {
		return d.file
	}
	node := d.root.Content[0]
	line := node.Line
	for _, step := range steps(path) {
		next, at := child(node, step)
		if next == nil {
			break
		}
		node, line = next, at
	}
	return d.file + ":" + strconv.Itoa(line)
}

// step is a way down in a document: a field, or an element of a list.
var step = regexp.MustCompile(`\[([^\]]*)\]|[^.\[\]]+`)

func steps(path string) []string {
	var out []string
	for _, found := range step.FindAllStringSubmatch(path, -1) {
		if found[1] != "" {
			out = append(out, found[1])
			continue
		}
		out = append(out, found[0])
	}
	return out
}

func child(n *yamlnode.Node, name string) (value *yamlnode.Node, line int) {
	switch n.Kind {
	case yamlnode.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == name {
				return n.Content[i+1], n.Content[i].Line
			}
		}
	case yamlnode.SequenceNode:
		if i, err := strconv.Atoi(name); err == nil && i >= 0 && i < len(n.Content) {
			return n.Content[i], n.Content[i].Line
		}
	case yamlnode.AliasNode:
		return child(n.Alias, name)
	}
	return nil, 0
}
