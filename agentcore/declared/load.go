package declared

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// pricesFile is the name of the price table among the files of a directory.
const pricesFile = "prices.yaml"

// Directory is what was read from one or more directories.
type Directory struct {
	agents     map[key]object[kagent.Agent]
	models     map[key]object[kagent.ModelConfig]
	servers    map[key]object[kagent.RemoteMCPServer]
	policies   map[key]object[v1alpha1.AgentPolicy]
	bare       map[key]bool // agents of which only the name and what they can do is written
	configMaps map[key]object[configMap]
	secrets    map[key]object[secret]
	prices     PriceTable
	files      map[string]string // content by path, for the revision
}

// key names an object within a kind.
type key struct{ namespace, name string }

func (k key) String() string { return k.namespace + "/" + k.name }

// object is an object, and where it is written.
type object[T any] struct {
	value T
	at    document
}

// configMap is what counts of a ConfigMap. Package core of Kubernetes' API would
// bring all its kinds along.
type configMap struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Immutable         *bool             `json:"immutable,omitempty"`
	Data              map[string]string `json:"data,omitempty"`
	BinaryData        map[string][]byte `json:"binaryData,omitempty"`
}

type secret struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`
	Immutable         *bool             `json:"immutable,omitempty"`
	Type              string            `json:"type,omitempty"`
	Data              map[string][]byte `json:"data,omitempty"`
	StringData        map[string]string `json:"stringData,omitempty"`
}

// Load reads files, and the YAML and JSON files right in directories. Its error
// names everything that is wrong, each with its file and line.
func Load(paths ...string) (*Directory, error) {
	d := &Directory{
		agents: map[key]object[kagent.Agent]{}, models: map[key]object[kagent.ModelConfig]{},
		servers: map[key]object[kagent.RemoteMCPServer]{}, policies: map[key]object[v1alpha1.AgentPolicy]{},
		configMaps: map[key]object[configMap]{}, secrets: map[key]object[secret]{}, bare: map[key]bool{}, files: map[string]string{},
	}
	var problems []error
	var err error
	if d.prices, err = ParsePrices(nil); err != nil {
		return nil, err
	}
	for _, path := range paths {
		files, err := list(path)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for _, file := range files {
			problems = append(problems, d.read(file)...)
		}
	}
	if len(paths) == 0 {
		problems = append(problems, errors.New("no directory is named that holds an agent's YAML"))
	}
	return d, errors.Join(problems...)
}

// list are the files that path means: itself, or the YAML right in it. Names
// that begin with a dot are Kubernetes' own, where a ConfigMap is mounted.
func list(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read the agent's YAML: %w", err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("read the agent's YAML: %w", err)
	}
	var files []string
	for _, e := range entries {
		file := filepath.Join(path, e.Name())
		if strings.HasPrefix(e.Name(), ".") || !slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(file)) {
			continue
		}
		if info, err := os.Stat(file); err == nil && info.IsDir() {
			continue
		}
		files = append(files, file)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s holds no YAML files", path)
	}
	return files, nil
}

// maxFile bounds what is read of one file: no ConfigMap is larger.
const maxFile = 4 << 20

func (d *Directory) read(file string) []error {
	if info, err := os.Stat(file); err == nil && info.Size() > maxFile {
		return []error{fmt.Errorf("%s takes %d bytes; an agent's YAML takes at most %d", file, info.Size(), maxFile)}
	}
	content, err := os.ReadFile(file)
	if err != nil {
		if pathError, ok := errors.AsType[*fs.PathError](err); ok {
			err = pathError.Err
		}
		return []error{fmt.Errorf("read %s: %w", file, err)}
	}
	d.files[file] = string(content)
	if filepath.Base(file) == pricesFile {
		if d.prices, err = ParsePrices(content); err != nil {
			return []error{fmt.Errorf("read %s: %w", file, err)}
		}
		return nil
	}
	var problems []error
	for _, doc := range split(file, content) {
		problems = append(problems, d.add(doc)...)
	}
	return problems
}

// add takes one document in.
func (d *Directory) add(doc document) []error {
	if err := doc.parse(); err != nil {
		return []error{err}
	}
	switch doc.kind {
	case metav1.TypeMeta{}: // an empty document
		return nil
	case metav1.TypeMeta{APIVersion: kagent.GroupVersion.String(), Kind: "Agent"}:
		return keep(doc, d.agents, d.normaliseAgent)
	case metav1.TypeMeta{APIVersion: kagent.GroupVersion.String(), Kind: "ModelConfig"}:
		return keep(doc, d.models, (*kagent.ModelConfig).Normalise)
	case metav1.TypeMeta{APIVersion: kagent.GroupVersion.String(), Kind: "RemoteMCPServer"}:
		return keep(doc, d.servers, (*kagent.RemoteMCPServer).Normalise)
	case metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "AgentPolicy"}:
		return keep(doc, d.policies, checkPolicy)
	case metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"}:
		return keep(doc, d.configMaps, nil)
	case metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}:
		return keep(doc, d.secrets, nil)
	}
	return []error{doc.errorf("kind", "a %s of %s is nothing that an agent is made of; here belong Agent, ModelConfig and RemoteMCPServer of %s, AgentPolicy of %s, ConfigMap and Secret of v1",
		doc.kind.Kind, doc.kind.APIVersion, kagent.GroupVersion, v1alpha1.GroupVersion)}
}

// normaliseAgent lets an agent that is only used as a tool be without what it is
// made of.
func (d *Directory) normaliseAgent(a *kagent.Agent) error {
	if a.Spec.Declarative == nil && a.Spec.BYO == nil && a.Spec.Type != kagent.AgentTypeBYO {
		a.Spec.Declarative = &kagent.DeclarativeAgentSpec{}
	}
	if s := a.Spec.Declarative; s == nil || s.ModelConfig == "" && s.SystemMessage == "" && s.SystemMessageFrom == nil && len(s.Tools) == 0 {
		d.bare[key{a.Namespace, a.Name}] = true
	}
	return a.Normalise()
}

// meta is an object's metadata.
type meta[T any] interface {
	*T
	metav1.Object
}

// keep decodes a document into a kind of object, checks it, and puts it beside
// the others of its kind.
func keep[T any, P meta[T]](doc document, into map[key]object[T], check func(P) error) []error {
	var value T
	problems := doc.decode(&value)
	o := P(&value)
	if o.GetNamespace() == "" {
		o.SetNamespace(metav1.NamespaceDefault)
	}
	k := key{o.GetNamespace(), o.GetName()}
	if k.name == "" {
		return append(problems, doc.errorf("metadata.name", "name it"))
	}
	if before, twice := into[k]; twice {
		return append(problems, doc.errorf("metadata.name", "%s %s is declared already, at %s", doc.kind.Kind, k, before.at.place("metadata.name")))
	}
	if check != nil {
		problems = append(problems, doc.locate(check(o))...)
	}
	into[k] = object[T]{value, doc}
	return problems
}
