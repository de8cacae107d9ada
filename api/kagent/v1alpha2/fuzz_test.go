package v1alpha2_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"sigs.k8s.io/yaml"
)

// FuzzNormalise holds that no object makes Normalise stumble, that what it
// accepts is in its final form, and that this survives being written and read.
func FuzzNormalise(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*/*.yaml")
	require.NoError(f, err)
	for _, seed := range seeds {
		text, err := os.ReadFile(seed)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`{"metadata":{"namespace":"a"},"spec":{"declarative":{"tools":[{"mcpServer":{"name":"a/b"},"headersFrom":[{"name":"A","value":"b"}]}]},"url":"kube","model":"m","provider":"OLLAMA","timeout":"1h"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, o := range []object{&v1alpha2.Agent{}, &v1alpha2.ModelConfig{}, &v1alpha2.RemoteMCPServer{}} {
			if yaml.Unmarshal(text, o) != nil || o.Normalise() != nil {
				continue
			}
			unsupported := o.Unsupported()
			sent, err := json.Marshal(o)
			require.NoError(t, err)
			again := reflect.New(reflect.TypeOf(o).Elem()).Interface().(object)
			require.NoError(t, json.Unmarshal(sent, again))
			require.NoError(t, again.Normalise())
			resent, err := json.Marshal(again)
			require.NoError(t, err)
			require.JSONEq(t, string(sent), string(resent))
			require.Equal(t, unsupported, again.Unsupported())
		}
	})
}
