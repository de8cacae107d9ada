package agent

import (
	"context"
	"strings"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"k8s.io/apimachinery/pkg/util/validation"
)

// normalise brings what is declared into its one form and reads the settings of
// the pod.
func (r *Reconciler) normalise(_ context.Context, w *work) error {
	var p problems
	err := w.declared.Normalise()
	w.unserved = w.declared.Unsupported() // before resolve leaves out what is not served
	if err != nil {
		p.add("Invalid", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
		return p.err()
	}
	if w.declared.Spec.Type == kagent.AgentTypeBYO {
		p.add("TypeNotServed", "spec.type: agents of an image of one's own (BYO) are not run; write a declarative one, or run the image as a Deployment of your own")
		return p.err()
	}
	if wrong := validation.IsDNS1035Label(w.Name); len(wrong) > 0 {
		p.add("Invalid", "metadata.name: the agent's Service has this name, and %s", wrong[0])
	}
	w.settings = decodeSettings(&p, w.declared.Spec.Declarative.Deployment)
	w.overridden = w.settings.restrict()
	return p.err()
}
