package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/toolcrib/toolcrib/agentcore/runs"
)

// until serves and works until ctx ends, and then hands over what is under way.
func (s *serving) until(ctx context.Context, worker *runs.Worker, face http.Handler, registry *prometheus.Registry) error {
	stopMetrics, err := s.serveMetrics(registry)
	if err != nil {
		return err
	}
	defer stopMetrics()
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return fmt.Errorf("--listen: %w", err)
	}
	var leaving atomic.Bool
	streams, endStreams := context.WithCancel(context.WithoutCancel(ctx))
	defer endStreams()
	server := s.server(routes(face, &leaving))
	server.BaseContext = func(net.Listener) context.Context { return streams }
	s.log.Info("listening", "url", "http://"+listener.Addr().String()+"/")

	working, endWork := context.WithCancel(ctx)
	defer endWork()
	var work sync.WaitGroup
	work.Go(func() { worker.Work(working) })
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err = <-ended:
		err = fmt.Errorf("serve %s: %w", s.listen, err)
	case <-ctx.Done():
	}
	leaving.Store(true)
	endWork()
	handed := make(chan struct{})
	go func() { work.Wait(); close(handed) }()
	late := time.NewTimer(s.shutdown)
	defer late.Stop()
	select {
	case <-handed:
	case <-late.C:
		s.log.Warn("some runs could not be handed over in time; they are taken over once their claims are stale")
	}
	endStreams() // clients come back to another replica
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if closed := server.Shutdown(closing); closed != nil {
		server.Close()
	}
	s.log.Info("ended")
	return err
}

// routes adds the probes, which ask nobody: an agent whose model or tools are
// away still answers, saying so.
func routes(face http.Handler, leaving *atomic.Bool) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if leaving.Load() {
			http.Error(w, "shutting down", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("/", face)
	return mux
}

func (s *serving) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
}

// serveMetrics serves the metrics on a port of their own, so that who may ask the
// agent and who may scrape are separate questions.
func (s *serving) serveMetrics(registry *prometheus.Registry) (func(), error) {
	address := s.metrics
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("--metrics: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	server := s.server(mux)
	go func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("metrics are no longer served", "error", err)
		}
	}()
	s.log.Info("metrics", "url", fmt.Sprintf("http://%s/metrics", listener.Addr()))
	return func() { server.Close() }, nil
}
