// Package identity is who the controller is to tool servers: tokens of its own
// ServiceAccount, each for the one audience that it is shown to. It refuses
// tokens that the API server itself would take: whoever is shown one of those
// could act as the controller.
package identity

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/controller/kept"
	"github.com/toolcrib/toolcrib/controller/outcome"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// recheck is when to try again what a Role may allow by then.
const recheck = time.Minute

// Identity is the controller's own. Use New.
type Identity struct {
	client client.Client
	clock  clock.PassiveClock

	mu     sync.Mutex
	self   *corev1.ServiceAccount
	api    []string                      // audiences of the API server
	tokens *kept.Answers[string, string] // by audience
}

// New is the identity that c has.
func New(c client.Client, clock clock.PassiveClock) *Identity {
	return &Identity{client: c, clock: clock, tokens: kept.New[string, string](clock)}
}

// Token is a token for the audience, good for minutes at least.
func (i *Identity) Token(ctx context.Context, audience string) (string, error) {
	if err := i.Check(ctx, audience); err != nil {
		return "", err
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if token, ok := i.tokens.Get(audience); ok {
		return token, nil
	}
	request, err := i.request(ctx, audience)
	if err != nil {
		return "", err
	}
	i.tokens.Put(audience, request.Status.Token, request.Status.ExpirationTimestamp.Sub(i.clock.Now())*3/4)
	return request.Status.Token, nil
}

// Check refuses an audience that the API server itself answers to.
func (i *Identity) Check(ctx context.Context, audience string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.api == nil {
		request, err := i.request(ctx)
		if err != nil {
			return err
		}
		i.api = request.Spec.Audiences
	}
	if slices.Contains(i.api, audience) {
		return outcome.Stalled("AudienceRefused", "annotation toolcrib.dev/audience: %q is the API server's own audience, and a token for it opens the whole cluster; give the tool server an audience of its own", audience)
	}
	return nil
}

// request asks for a token. Without an audience it is one for the API server.
func (i *Identity) request(ctx context.Context, audiences ...string) (*authenticationv1.TokenRequest, error) {
	if err := i.who(ctx); err != nil {
		return nil, err
	}
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{Audiences: audiences, ExpirationSeconds: new(int64(3600))}}
	err := i.client.SubResource("token").Create(ctx, i.self, request)
	if apierrors.IsForbidden(err) {
		return nil, outcome.Waiting(recheck, "NoToken", "the controller may not make tokens of its ServiceAccount %s/%s, which the tool server wants to see; its Role must let it create serviceaccounts/token", i.self.Namespace, i.self.Name)
	}
	if err != nil {
		return nil, fmt.Errorf("make a token of ServiceAccount %s/%s: %w", i.self.Namespace, i.self.Name, err)
	}
	return request, nil
}

// who finds out which ServiceAccount the controller runs as.
func (i *Identity) who(ctx context.Context) error {
	if i.self != nil {
		return nil
	}
	var review authenticationv1.SelfSubjectReview
	if err := i.client.Create(ctx, &review); err != nil {
		return fmt.Errorf("ask who the controller is: %w", err)
	}
	rest, found := strings.CutPrefix(review.Status.UserInfo.Username, "system:serviceaccount:")
	namespace, name, both := strings.Cut(rest, ":")
	if !found || !both {
		return outcome.Stalled("NoToken", "the controller runs as %q, and only a ServiceAccount has tokens to show to a tool server; run it in the cluster", review.Status.UserInfo.Username)
	}
	i.self = &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	return nil
}
