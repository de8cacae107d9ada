package helm

import (
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chartutil"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Waiting is how a write waits for what it wrote.
type Waiting struct {
	Wait              *bool           `json:"wait,omitempty" jsonschema:"until all objects are ready; true if absent"`
	WaitForJobs       bool            `json:"wait_for_jobs,omitempty" jsonschema:"until Jobs have ended too"`
	Timeout           mcpkit.Duration `json:"timeout,omitempty" jsonschema:"for everything, hooks included; 5m if absent, never more than a call may take"`
	RollbackOnFailure bool            `json:"rollback_on_failure,omitempty" jsonschema:"a third of the time is kept for that"`
}

func (w Waiting) waits() bool { return w.Wait == nil || *w.Wait }

// checkName refuses what cannot name a release.
func checkName(of Release) error {
	if err := chartutil.ValidateReleaseName(of.Name); err != nil {
		return mcpkit.Errorf(mcpkit.Invalid, "name %q cannot be a release's: lower-case letters, digits and dashes, at most 53", short(of.Name))
	}
	if of.Namespace == "" {
		return mcpkit.Errorf(mcpkit.Invalid, "namespace is empty; name the one of the release")
	}
	if len(validation.IsDNS1123Label(of.Namespace)) > 0 {
		return mcpkit.Errorf(mcpkit.Invalid, "namespace %q cannot be one: lower-case letters, digits and dashes, at most 63", short(of.Namespace))
	}
	return nil
}
