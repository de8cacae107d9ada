package agenttrigger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// The bounds of the receiver.
const (
	requestTimeout = 25 * time.Second // Alertmanager gives up after its own
	mostAtOnce     = 32               // requests
	graceful       = 10 * time.Second // to end
)

// Options say where alerts are received.
type Options struct {
	Address    string   // 0 or empty for nowhere
	Audience   string   // of senders' tokens; NAME.NAMESPACE.svc of the own ServiceAccount if empty
	Namespaces []string // whose triggers are served; all if empty
}

// Path is where alerts for a trigger are posted.
func Path(namespace, trigger string) string { return "/alerts/" + namespace + "/" + trigger }

// Receiver is the webhook that Alertmanager sends its notifications to. Every
// replica of the controller is one, the leader or not.
type Receiver struct {
	starter
	access  access
	filters filters
	options Options
	slots   chan struct{}
}

// NewReceiver is a Receiver that has not started.
func NewReceiver(c client.Client, fresh client.Reader, clock clock.PassiveClock, o Options) *Receiver {
	return &Receiver{starter: starter{c, fresh, clock}, access: access{client: c, audience: o.Audience}, options: o, slots: make(chan struct{}, mostAtOnce)}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (r *Receiver) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (r *Receiver) Start(ctx context.Context) error {
	if r.access.audience == "" {
		audience, err := ownAudience(ctx, r.client)
		if err != nil {
			return err
		}
		r.access.audience = audience
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", r.options.Address)
	if err != nil {
		return fmt.Errorf("--alerts-address: %w", err)
	}
	server := &http.Server{
		Handler: r.Handler(), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout + 5*time.Second,
		IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 2 * mostToken,
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("receive alerts: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancel()
	return server.Shutdown(stopping)
}

// Handler serves the webhook.
func (r *Receiver) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /alerts/{namespace}/{trigger}", func(w http.ResponseWriter, req *http.Request) {
		ctx, cancel := context.WithTimeout(req.Context(), requestTimeout)
		defer cancel()
		answer, err := r.receive(ctx, w, req)
		if err != nil {
			reply(ctx, w, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(answer) // whoever hung up needs no answer
	})
	return mux
}

// receive does what the request asks for, in the order in which it costs.
func (r *Receiver) receive(ctx context.Context, w http.ResponseWriter, req *http.Request) (*answer, error) {
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return nil, refuse(http.StatusServiceUnavailable, "%d notifications are being taken in; try again", mostAtOnce)
	}
	namespace, trigger := req.PathValue("namespace"), req.PathValue("trigger")
	user, err := r.access.sender(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(validation.ValidateNamespaceName(namespace, false)) > 0 || len(validation.NameIsDNSSubdomain(trigger, false)) > 0 {
		return nil, refuse(http.StatusNotFound, "%q is no AgentTrigger; post to /alerts/NAMESPACE/TRIGGER", namespace+"/"+trigger)
	}
	if err := r.access.check(ctx, user, namespace, trigger); err != nil {
		return nil, err
	}
	m, err := read(w, req)
	if err != nil {
		return nil, err
	}
	if len(r.options.Namespaces) > 0 && !slices.Contains(r.options.Namespaces, namespace) {
		return nil, refuse(http.StatusNotFound, "the controller does not watch namespace %q", namespace)
	}
	return r.take(ctx, client.ObjectKey{Namespace: namespace, Name: trigger}, m, user.Username)
}

// read reads the message.
func read(w http.ResponseWriter, req *http.Request) (Message, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, mostBody))
	if errors.As(err, new(*http.MaxBytesError)) {
		return Message{}, refuse(http.StatusRequestEntityTooLarge, "more than %d bytes in one notification; set max_alerts in Alertmanager's webhook_configs", mostBody)
	}
	if err != nil {
		return Message{}, refuse(http.StatusBadRequest, "read the notification: %s", err)
	}
	m, err := parse(body)
	if errors.Is(err, errTooMany) {
		return Message{}, refuse(http.StatusRequestEntityTooLarge, "%s", err)
	}
	if err != nil {
		return Message{}, refuse(http.StatusBadRequest, "%s", err)
	}
	return m, nil
}

// reply says why not. What is the sender's to mend is told; what is ours is
// logged, and to be sent again.
func reply(ctx context.Context, w http.ResponseWriter, err error) {
	var no *refusal
	if !errors.As(err, &no) {
		ctrl.Log.WithName("alerts").Error(err, "take in a notification")
		no = &refusal{http.StatusInternalServerError, "the controller could not take this in; its log says why"}
		if ctx.Err() != nil {
			no = &refusal{http.StatusServiceUnavailable, "that took too long; try again"}
		}
	}
	if no.code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	http.Error(w, no.text, no.code)
}
