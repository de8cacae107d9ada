package charts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// servers are the charts of servers, which share what is in common.
var servers = []string{"helm", "kubernetes", "prometheus"}

const commonValues = "# What follows is the same for all servers: make generate copies it from charts/common.\n\n"

func TestGeneratedValues(t *testing.T) {
	common, err := os.ReadFile("common/values.yaml")
	require.NoError(t, err)
	for _, chart := range servers {
		path := filepath.Join(chart, "values.yaml")
		values, err := os.ReadFile(path)
		require.NoError(t, err)
		own, _, _ := strings.Cut(string(values), commonValues)
		requireGolden(t, path, own+commonValues+string(common))
	}
}
