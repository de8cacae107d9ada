package mcpkit

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDefaultsThatDependOnWhereAServerRuns(t *testing.T) {
	for _, c := range []struct {
		http             string
		locks, inCluster bool
		auth, gate       string
	}{
		{"", true, true, "none", "ask"},
		{"0.0.0.0:8080", true, true, "kubernetes", "approval"},
		{"127.0.0.1:8080", true, true, "kubernetes", "approval"},
		{"127.0.0.1:8080", true, false, "none", "approval"},
		{"127.0.0.1:8080", false, true, "none", "ask"},
	} {
		f := flags{http: c.http}
		f.settle(func(string) bool { return false }, c.locks, c.inCluster)
		require.Equal(t, []string{c.auth, c.gate}, []string{f.auth, f.gate}, "%+v", c)
	}
	f := flags{http: "127.0.0.1:8080", auth: "none", gate: "off"}
	f.settle(func(string) bool { return true }, true, true)
	require.Equal(t, []string{"none", "off"}, []string{f.auth, f.gate}, "what is said counts")
}
