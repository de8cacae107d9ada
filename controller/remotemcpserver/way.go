package remotemcpserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	kagent "github.com/toolcrib/toolcrib/api/kagent/v1alpha2"
	"github.com/toolcrib/toolcrib/controller/labels"
	"github.com/toolcrib/toolcrib/controller/outcome"
	"github.com/toolcrib/toolcrib/controller/secrets"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// mostPatience is the longest that a server may take, whatever it asks for: a
// worker waits for it.
const mostPatience = 2 * time.Minute

// way is how to reach one server.
type way struct {
	url       string
	sse       bool
	terminate bool
	timeout   time.Duration
	tls       *tls.Config
	header    http.Header
	hash      string // of the Secrets that are in it
}

func normalise(s *kagent.RemoteMCPServer) error {
	if err := s.Normalise(); err != nil {
		return outcome.Stalled("Invalid", "%s", strings.ReplaceAll(err.Error(), "\n", "; "))
	}
	return nil
}

// wayTo gathers what it takes to reach the server, which must be normalised.
func (r *Reconciler) wayTo(ctx context.Context, s *kagent.RemoteMCPServer) (*way, error) {
	timeout, err := s.Spec.Timeout.Parse()
	if err != nil {
		return nil, outcome.Stalled("Invalid", "spec.timeout: %v", err)
	}
	in := secrets.In(r.fresh, s.Namespace)
	w := &way{
		url: s.Spec.URL, sse: s.Spec.Protocol == kagent.ProtocolSSE, terminate: *s.Spec.TerminateOnClose,
		timeout: min(timeout, mostPatience), header: http.Header{},
	}
	var errs []error
	for _, h := range s.Spec.HeadersFrom {
		value, err := r.value(ctx, in, s.Namespace, h)
		errs = append(errs, readable(err))
		w.header.Set(h.Name, value)
	}
	w.tls, err = trust(ctx, in, s.Spec.TLS)
	errs = append(errs, readable(err))
	if audience := s.Annotations[labels.Audience]; audience != "" && w.header.Get("Authorization") == "" {
		token, err := r.identity.Token(ctx, audience)
		errs = append(errs, err)
		w.header.Set("Authorization", "Bearer "+token)
	}
	w.hash = in.Hash()
	return w, outcome.Join(errs...)
}

func (r *Reconciler) value(ctx context.Context, in *secrets.Reader, namespace string, h kagent.ValueRef) (string, error) {
	switch from := h.ValueFrom; {
	case h.Value != nil:
		return *h.Value, nil
	case from.Type == kagent.SecretValueSource:
		value, err := in.Value(ctx, from.Name, from.Key)
		return strings.TrimSpace(string(value)), err
	default:
		var m corev1.ConfigMap
		err := r.fresh.Get(ctx, client.ObjectKey{Namespace: namespace, Name: from.Name}, &m)
		if err != nil && !apierrors.IsNotFound(err) {
			return "", fmt.Errorf("read ConfigMap %s/%s: %w", namespace, from.Name, err)
		}
		value, ok := m.Data[from.Key]
		if !ok {
			return "", outcome.Stalled("ConfigMapNotFound", "there is no ConfigMap %q with key %q in namespace %q, which header %s is from", from.Name, from.Key, namespace, h.Name)
		}
		return strings.TrimSpace(value), nil
	}
}

// readable turns what no Role allows into words for users.
func readable(err error) error {
	if errors.Is(err, secrets.ErrForbidden) {
		return outcome.Waiting(time.Minute, "SecretNotReadable", "%v, so the tools were not discovered; agents can use the server all the same, or a Role in the namespace lets ServiceAccount toolcrib-controller get that Secret", err)
	}
	return err
}

// trust is whom to trust on the connection.
func trust(ctx context.Context, in *secrets.Reader, t *kagent.TLSConfig) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	config := &tls.Config{InsecureSkipVerify: t.DisableVerify, MinVersion: tls.VersionTLS12}
	if t.CACertSecretRef == "" {
		return config, nil
	}
	pem, err := in.Value(ctx, t.CACertSecretRef, t.CACertSecretKey)
	if err != nil {
		return nil, err
	}
	config.RootCAs = x509.NewCertPool()
	if !t.DisableSystemCAs {
		if config.RootCAs, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("read the system's certificate authorities: %w", err)
		}
	}
	if !config.RootCAs.AppendCertsFromPEM(pem) {
		return nil, outcome.Waiting(time.Minute, "CertificateInvalid", "Secret %q holds no certificate in PEM under key %q", t.CACertSecretRef, t.CACertSecretKey)
	}
	return config, nil
}
