package model

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShippedScenariosAreInOrder(t *testing.T) {
	for _, name := range ShippedNames() {
		s, err := Shipped(name)
		require.NoError(t, err)
		require.Equal(t, name, s.Name)
		require.NotEmpty(t, s.About, name)
	}
	_, err := Shipped("none")
	require.ErrorContains(t, err, "there are crash-loop")
}
