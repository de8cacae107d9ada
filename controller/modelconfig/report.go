package modelconfig

import (
	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/outcome"
)

// report sets the conditions.
func report(m, normalised *kagent.ModelConfig, note string, err error) {
	m.Status.ObservedGeneration = m.Generation
	reason, message := "Accepted", "agents can use this model"
	if note != "" {
		reason, message = "SecretNotChecked", message+"; "+note
	}
	outcome.Set(&m.Status.Conditions, m.Generation, outcome.Accepted, err, reason, message)
	outcome.SetUnsupported(&m.Status.Conditions, m.Generation, normalised.Unsupported(), "")
}
