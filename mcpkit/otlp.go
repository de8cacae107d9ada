package mcpkit

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// otlpClient posts spans as OTLP over HTTP. OpenTelemetry's own client for HTTP
// links gRPC, 5 MB that nothing else here needs.
type otlpClient struct {
	url     string
	headers http.Header
	http    http.Client
}

// newExporter returns the exporter that the OTEL_ environment variables ask
// for, nil when they name no endpoint.
func newExporter(getenv func(string) string) (sdktrace.SpanExporter, error) {
	endpoint := getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
	if base := getenv("OTEL_EXPORTER_OTLP_ENDPOINT"); endpoint == "" && base != "" {
		endpoint = strings.TrimSuffix(base, "/") + "/v1/traces"
	}
	if endpoint == "" || strings.EqualFold(getenv("OTEL_SDK_DISABLED"), "true") || getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, usagef("OTEL_EXPORTER_OTLP_ENDPOINT=%s is not an http or https URL, such as http://127.0.0.1:4318", endpoint)
	}
	c := &otlpClient{url: endpoint, headers: http.Header{}, http: http.Client{Timeout: 10 * time.Second}}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		if err := c.addHeaders(getenv(name)); err != nil {
			return nil, usagef("%s: %w", name, err)
		}
	}
	if ms, err := strconv.Atoi(getenv("OTEL_EXPORTER_OTLP_TIMEOUT")); err == nil && ms > 0 {
		c.http.Timeout = time.Duration(ms) * time.Millisecond
	}
	return otlptrace.NewUnstarted(c), nil
}

// addHeaders reads the notation of OTEL_EXPORTER_OTLP_HEADERS: key=value pairs
// with commas between, values URL-encoded.
func (c *otlpClient) addHeaders(list string) error {
	for pair := range strings.SplitSeq(list, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		decoded, err := url.PathUnescape(strings.TrimSpace(value))
		if !ok || err != nil {
			return fmt.Errorf("header %q is not key=value", strings.TrimSpace(name))
		}
		c.headers.Set(strings.TrimSpace(name), decoded)
	}
	return nil
}

// Start implements [otlptrace.Client].
func (c *otlpClient) Start(context.Context) error { return nil }

// Stop implements [otlptrace.Client].
func (c *otlpClient) Stop(context.Context) error { return nil }

// UploadTraces implements [otlptrace.Client].
func (c *otlpClient) UploadTraces(ctx context.Context, spans []*tracepb.ResourceSpans) error {
	// TracesData is what ExportTraceServiceRequest is on the wire.
	body, err := proto.Marshal(&tracepb.TracesData{ResourceSpans: spans})
	if err != nil {
		return fmt.Errorf("encode spans: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	req.Header = c.headers.Clone()
	req.Header.Set("Content-Type", "application/x-protobuf")
	resp, err := c.http.Do(req)
	if err != nil {
		return fmt.Errorf("send spans: %w", err)
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection is used again
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("send spans to %s: %s", req.URL.Redacted(), resp.Status)
	}
	return nil
}
