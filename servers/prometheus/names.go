package prometheus

import (
	"fmt"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// Names says under which names tools are served. As a pflag.Value it refuses
// any other.
type Names string

// The names there are.
const (
	NamesToolcrib Names = "toolcrib" // ours
	NamesKagent   Names = "kagent"   // those of kagent's older tool server, where it had a name
)

// kagentNames are kagent's older names by ours.
var kagentNames = map[string]string{
	"prometheus_query":       "prometheus_query_tool",
	"prometheus_query_range": "prometheus_query_range_tool",
	"prometheus_label_names": "prometheus_label_names_tool",
	"prometheus_targets":     "prometheus_targets_tool",
}

func (n *Names) String() string { return string(*n) }

// Type is what --help calls the value.
func (n *Names) Type() string { return "names" }

// Set reads the value of a flag.
func (n *Names) Set(s string) error {
	switch Names(s) {
	case NamesToolcrib, NamesKagent:
		*n = Names(s)
		return nil
	}
	return fmt.Errorf("write %s or %s", NamesToolcrib, NamesKagent)
}

// apply renames the tools of ts.
func (n Names) apply(ts *mcpkit.Toolset) {
	if n == NamesKagent {
		ts.Rename(kagentNames)
	}
}
