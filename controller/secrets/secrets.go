// Package secrets reads single Secrets, where a Role lets the controller, at
// the moment they are needed. It refuses to list, to watch and to keep them;
// its errors and hashes hold nothing of what is in them.
package secrets

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/toolcrib/toolcrib/controller/outcome"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrForbidden is returned for a Secret that the controller may not read.
var ErrForbidden = errors.New("no Role lets the controller read the Secret")

// recheck is when to look again for a Secret that was missing, as nothing tells
// when it comes.
const recheck = time.Minute

// Reader reads Secrets of one namespace and remembers which, but not what.
type Reader struct {
	client    client.Reader
	namespace string
	seen      []string
}

// In is a reader of the namespace's Secrets.
func In(c client.Reader, namespace string) *Reader { return &Reader{client: c, namespace: namespace} }

// Value is what the Secret has under the key. Its error is ErrForbidden where
// no Role lets the controller look, and one for users if the Secret or the key
// is missing.
func (r *Reader) Value(ctx context.Context, name, key string) ([]byte, error) {
	var s corev1.Secret
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: name}, &s)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("%w %q of namespace %q", ErrForbidden, name, r.namespace)
	case apierrors.IsNotFound(err):
		return nil, outcome.Waiting(recheck, "SecretNotFound", "there is no Secret %q in namespace %q; make one with key %q", name, r.namespace, key)
	case err != nil:
		return nil, fmt.Errorf("read Secret %s/%s: %w", r.namespace, name, err)
	}
	r.seen = append(r.seen, fmt.Sprintf("%s %s %s", name, s.UID, s.ResourceVersion))
	value, ok := s.Data[key]
	if !ok || len(value) == 0 {
		return nil, outcome.Waiting(recheck, "SecretKeyNotFound", "Secret %q in namespace %q has no key %q, or nothing under it; add it", name, r.namespace, key)
	}
	return value, nil
}

// Hash changes when one of the Secrets that were read does. It is made of their
// versions and not of what they hold, so that nobody can guess at that by it.
func (r *Reader) Hash() string {
	if len(r.seen) == 0 {
		return ""
	}
	slices.Sort(r.seen)
	sum := sha256.New()
	for _, s := range slices.Compact(r.seen) {
		fmt.Fprintln(sum, s)
	}
	return hex.EncodeToString(sum.Sum(nil)[:8])
}
