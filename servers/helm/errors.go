package helm

import (
	"errors"

	"github.com/toolcrib/toolcrib/locks/clientgo"
	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/storage/driver"
)

// translate turns what Helm, the API server, or the way to it, said about doing
// something ("list releases in namespace shop") into an error a model can act on.
func translate(err error, doing string) error {
	if _, known := errors.AsType[*mcpkit.Error](err); !known && errors.Is(err, driver.ErrReleaseNotFound) {
		return mcpkit.Wrap(mcpkit.NotFound, err, "cannot %s: %v", doing, err)
	}
	return clientgo.Translate(err, doing)
}

// textOf is what a model may read of an error, for answers that go on without
// what failed.
func textOf(err error) string {
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		return known.Text
	}
	return "could not be read"
}
