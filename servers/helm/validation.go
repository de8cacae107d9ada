package helm

import (
	"net/url"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/cli-runtime/pkg/resource"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/openapi"
	memory "k8s.io/client-go/openapi/cached"
	cmdutil "k8s.io/kubectl/pkg/cmd/util"
	"k8s.io/kubectl/pkg/validation"
	"k8s.io/utils/lru"
)

// keptValidated is of how many types it is remembered that the API server
// validates their fields.
const keptValidated = 4096

// validating is Helm's way to the cluster. Before it validates the fields of an
// object, kubectl's own asks whether the API server will, and for that reads the
// OpenAPI document of the object's group, which took nine tenths of the processor
// time of a write. So what a document has said is remembered, for as long as the
// API server offers that very document.
type validating struct {
	cmdutil.Factory
	known *lru.Cache // of document
}

// document says that the API server validates the fields of a type.
type document struct {
	schema.GroupVersionKind
	url string // with the hash of what is in it
}

// Validator implements [kube.Factory].
func (v *validating) Validator(directive string) (validation.Schema, error) {
	if directive == metav1.FieldValidationIgnore {
		return validation.NullSchema{}, nil
	}
	config, err := v.ToRESTConfig()
	if err != nil {
		return nil, err
	}
	served, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := v.DynamicClient()
	if err != nil {
		return nil, err
	}
	documents := memory.NewClient(served.OpenAPIV3()) // of this moment: types may have changed since the last
	offered := &offered{
		documents: documents, read: resource.NewQueryParamVerifierV3(objects, documents, resource.QueryParamFieldValidation),
		known: v.known, said: map[schema.GroupVersionKind]error{},
	}
	old := resource.NewQueryParamVerifier(objects, served, resource.QueryParamFieldValidation)
	ours := validation.ConjunctiveSchema{validation.NewSchemaValidation(v), validation.NoDoubleKeySchema{}}
	return validation.NewParamVerifyingSchema(ours, resource.NewFallbackQueryParamVerifier(offered, old), directive), nil
}

// offered asks the documents that the API server offers at one moment. It is
// asked by one manifest, object after object.
type offered struct {
	documents openapi.Client
	read      resource.Verifier
	known     *lru.Cache // of document
	said      map[schema.GroupVersionKind]error
}

// HasSupport implements [resource.Verifier].
func (o *offered) HasSupport(gvk schema.GroupVersionKind) error {
	err, ok := o.said[gvk]
	if ok {
		return err
	}
	d := o.about(gvk)
	if _, ok := o.known.Get(d); !ok {
		err = o.read.HasSupport(gvk)
	}
	if err == nil && d.url != "" {
		o.known.Add(d, nil)
	}
	o.said[gvk] = err
	return err
}

// about is the document on a type; its URL is empty if there is none whose URL
// tells when it changes.
func (o *offered) about(gvk schema.GroupVersionKind) document {
	path := "apis/" + gvk.GroupVersion().String()
	if gvk.Group == "" {
		path = "api/" + gvk.Version
	}
	paths, err := o.documents.Paths()
	if err != nil || paths[path] == nil {
		return document{gvk, ""}
	}
	at := paths[path].ServerRelativeURL()
	if u, err := url.Parse(at); err != nil || u.Query().Get("hash") == "" {
		at = ""
	}
	return document{gvk, at}
}
