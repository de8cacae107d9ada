package kubernetes

import (
	"errors"

	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// translate turns what the API server, or the way to it, said about doing
// something ("list pods in namespace shop") into an error a model can act on.
func translate(err error, doing string) error {
	if _, known := errors.AsType[*mcpkit.Error](err); !known && (apierrors.IsResourceExpired(err) || apierrors.IsGone(err)) {
		return mcpkit.Wrap(mcpkit.Invalid, err, "the continue token has expired; ask again without it")
	}
	return clientgo.Translate(err, doing)
}

// isKind reports whether err is an answer of that kind.
func isKind(err error, k mcpkit.Kind) bool {
	var known *mcpkit.Error
	return errors.As(err, &known) && known.Kind == k
}
