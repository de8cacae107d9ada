package v1alpha1_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// schema is what a CRD says of a field.
type schema struct {
	Description          string            `json:"description"`
	Properties           map[string]schema `json:"properties"`
	Items                *schema           `json:"items"`
	AdditionalProperties *schema           `json:"additionalProperties"`
}

// crd is what the tests look at of a CRD.
type crd struct {
	Spec struct {
		Names struct {
			Kind string `json:"kind"`
		} `json:"names"`
		Versions []struct {
			Schema struct {
				OpenAPIV3Schema schema `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

// crds are all that we generate, by kind, and their sizes in bytes.
func crds(t *testing.T) (map[string]schema, map[string]int) {
	t.Helper()
	schemas, sizes := map[string]schema{}, map[string]int{}
	for _, pattern := range []string{manifests + "/toolcrib.dev_*.yaml", kagentManifests + "/kagent.dev_*.yaml"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var c crd
			require.NoError(t, yaml.Unmarshal(text, &c))
			require.Len(t, c.Spec.Versions, 1)
			schemas[c.Spec.Names.Kind] = c.Spec.Versions[0].Schema.OpenAPIV3Schema
			sizes[c.Spec.Names.Kind] = len(text)
		}
	}
	require.Len(t, schemas, 8)
	return schemas, sizes
}

// described are the descriptions of all fields of a kind's spec and status, by
// their paths.
func described(t *testing.T, kind string) map[string]string {
	schemas, _ := crds(t)
	all := map[string]string{}
	for _, part := range []string{"spec", "status"} {
		if s, has := schemas[kind].Properties[part]; has {
			s.describe("."+part, all)
		}
	}
	return all
}

func (s schema) describe(path string, all map[string]string) {
	if s.Items != nil {
		s.Items.describe(path, all)
	}
	for name, property := range s.Properties {
		all[path+"."+name] = property.Description
		property.describe(path+"."+name, all)
	}
}

// TestEveryFieldIsDescribed keeps kubectl explain a manual, and the CRDs small
// enough to be applied by clients, which write them into an annotation.
func TestEveryFieldIsDescribed(t *testing.T) {
	t.Parallel()
	schemas, sizes := crds(t)
	for kind, s := range schemas {
		require.NotEmpty(t, s.Description, kind)
		require.Less(t, sizes[kind], 64<<10, "%s: kagent's own Agent has several hundred KiB", kind)
		for path, description := range described(t, kind) {
			require.Greater(t, len(description), 10, "%s of %s", path, kind)
		}
	}
}
