package main

import (
	"bytes"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"helm.sh/helm/v3/pkg/chart/loader"
)

func TestPackagesRunTheImagesOfTheirVersion(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "charts")
	var out bytes.Buffer
	require.NoError(t, run([]string{"--app-version=v1.2.3", "--destination=" + dir, "../../kubernetes", "../../locks"}, &out))
	path := filepath.Join(dir, "kubernetes-0.1.0.tgz")
	require.Contains(t, out.String(), path+"\n")
	chart, err := loader.Load(path)
	require.NoError(t, err)
	require.Equal(t, "v1.2.3", chart.AppVersion())
	require.Len(t, chart.Dependencies(), 1)
	require.Equal(t, "crib", chart.Dependencies()[0].Name())
}

func TestWhatCannotBePacked(t *testing.T) {
	require.ErrorContains(t, run(nil, nil), "name the charts to pack, such as charts/kubernetes")
	require.ErrorContains(t, run([]string{"--destination=" + t.TempDir(), "no-such-chart"}, nil), "pack no-such-chart: ")
}
