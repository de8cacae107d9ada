package modelconfig

import (
	"context"
	"errors"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/outcome"
	"github.com/toolcrib/toolcrib/controller/secrets"
)

// keys looks for the Secrets that the model names. The note says what could not
// be looked at.
func (r *Reconciler) keys(ctx context.Context, m *kagent.ModelConfig) (note, hash string, err error) {
	in := secrets.In(r.Client, m.Namespace)
	var errs []error
	for _, k := range named(m.Spec) {
		_, err := in.Value(ctx, k.Name, k.Key)
		if errors.Is(err, secrets.ErrForbidden) {
			note = "Secrets were not checked: no Role lets the controller read them in this namespace"
			continue
		}
		errs = append(errs, err)
	}
	return note, in.Hash(), outcome.Join(errs...)
}

// named are the keys of Secrets that a model names.
func named(s kagent.ModelConfigSpec) []kagent.SecretKeyReference {
	var keys []kagent.SecretKeyReference
	if s.APIKeySecret != "" {
		keys = append(keys, kagent.SecretKeyReference{Name: s.APIKeySecret, Key: s.APIKeySecretKey})
	}
	if s.TLS != nil && s.TLS.CACertSecretRef != "" {
		keys = append(keys, kagent.SecretKeyReference{Name: s.TLS.CACertSecretRef, Key: s.TLS.CACertSecretKey})
	}
	return keys
}
