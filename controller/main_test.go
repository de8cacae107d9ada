package controller_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/testbed"
)

var cluster *testbed.Cluster

func TestMain(m *testing.M) {
	os.Exit(testbed.Main(m, testbed.Options{}, func(c *testbed.Cluster) { cluster = c }))
}

func TestX(t *testing.T) { require.NotNil(t, cluster) }
