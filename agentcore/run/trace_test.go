package run_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/record"
	"github.com/toolcrib/toolcrib/agentcore/run"
	"github.com/toolcrib/toolcrib/agentcore/toolbox"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

func TestARunIsOneTraceAlsoAfterARestart(t *testing.T) {
	spans := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans))
	var atTool []trace.SpanContext
	tools := &shelf{tools: []toolbox.Tool{reads("get")}}
	ctx, handOver := context.WithCancelCause(t.Context())
	tools.answer = func(ctx context.Context, _ toolbox.Tool, _ toolbox.Call) (toolbox.Outcome, error) {
		atTool = append(atTool, trace.SpanContextFromContext(ctx))
		handOver(run.ErrHandover)
		return toolbox.Outcome{Text: "fine"}, nil
	}
	r := runner(script(says("", calls("a", "get", "{}")), says("Done.")), tools)
	r.Tracer = provider.Tracer("test")
	log := &record.Memory{}
	_, err := r.Run(ctx, run.Question{Run: "run-1", Text: "Why?"}, log, run.Observer{})
	require.ErrorIs(t, err, context.Canceled)
	s, err := r.Run(t.Context(), run.Question{Run: "run-1"}, log, run.Observer{})
	require.NoError(t, err)

	require.Len(t, s.TraceID(), 32)
	var names []string
	for _, span := range spans.Ended() {
		names = append(names, span.Name())
		require.Equal(t, s.TraceID(), span.SpanContext().TraceID().String())
		require.True(t, span.Parent().IsValid())
	}
	require.Equal(t, "generate claude-sonnet-4, execute_tool get, invoke_agent helper, execute_tool get, generate claude-sonnet-4, invoke_agent helper", strings.Join(names, ", "))
	require.Len(t, atTool, 2)
	require.Equal(t, s.TraceID(), atTool[0].TraceID().String(), "tools are told of the trace")

	r.Tracer = nil
	other := &record.Memory{}
	s2, err := r.Run(t.Context(), run.Question{Run: "run-2", Text: "Why?"}, other, run.Observer{})
	require.NoError(t, err)
	require.Equal(t, s2.TraceID(), atTool[2].TraceID().String(), "also where no spans are sent")
	require.NotEqual(t, s.TraceID(), s2.TraceID())
}
