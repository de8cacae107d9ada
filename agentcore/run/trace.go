package run

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// TraceID is the run's trace, as OpenTelemetry knows it: the same after a
// restart. It is empty before the run has begun.
func (s *State) TraceID() string {
	if s.Seed == "" {
		return ""
	}
	return s.spanContext().TraceID().String()
}

// spanContext is the root that all spans of a run have in common.
func (s *State) spanContext() trace.SpanContext {
	var c trace.SpanContextConfig
	copy(c.TraceID[:], derive(s.Seed, "trace"))
	copy(c.SpanID[:], derive(s.Seed, "span"))
	c.TraceFlags = trace.FlagsSampled
	return trace.NewSpanContext(c)
}

// traceRun begins the span of this process's work on the run.
func (w *work) traceRun(ctx context.Context) (context.Context, func()) {
	from := trace.LinkFromContext(ctx)
	ctx = trace.ContextWithRemoteSpanContext(ctx, w.state.spanContext())
	options := []trace.SpanStartOption{trace.WithAttributes(
		attribute.String("gen_ai.operation.name", "invoke_agent"),
		attribute.String("gen_ai.agent.name", w.Agent.Namespace+"/"+w.Agent.Name),
		attribute.String("gen_ai.request.model", w.Agent.Model.Spec.Model),
		attribute.String("toolcrib.run", w.question.Run))}
	if from.SpanContext.IsValid() {
		options = append(options, trace.WithLinks(from))
	}
	ctx, span := w.tracer().Start(ctx, "invoke_agent "+w.Agent.Name, options...)
	return ctx, func() {
		span.SetAttributes(attribute.String("toolcrib.phase", string(w.state.Phase)))
		span.End()
	}
}

// trace begins the span of one step; its end is told what went wrong, if
// anything did.
func (w *work) trace(ctx context.Context, name string) (context.Context, func(error)) {
	ctx, span := w.tracer().Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, w.fence.clean(err.Error()))
		}
		span.End()
	}
}

func (w *work) tracer() trace.Tracer {
	if w.Tracer == nil {
		return noop.NewTracerProvider().Tracer("")
	}
	return w.Tracer
}
