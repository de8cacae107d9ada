package model_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/agentcore/model"
)

func TestErrorsSayWhatCanBeDone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		kind   model.Kind
		text   string
		tries  int
	}{
		"Anthropic, wrong key":        {refuse(401, `{"type":"error","error":{"type":"authentication_error","message":"invalid x-api-key"}}`), model.Unauthorized, "invalid x-api-key", 1},
		"Anthropic, no permission":    {refuse(403, `{"type":"error","error":{"type":"permission_error","message":"no"}}`), model.Unauthorized, "no", 1},
		"Anthropic, too long":         {refuse(400, `{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 208310 tokens > 200000 maximum"}}`), model.TooLong, "prompt is too long", 1},
		"Anthropic, no room":          {refuse(400, "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000\"}}"), model.TooLong, "exceed context limit", 1},
		"Anthropic, too large":        {refuse(413, `{"type":"error","error":{"type":"request_too_large","message":"Request exceeds the maximum size"}}`), model.TooLong, "maximum size", 1},
		"Anthropic, most tokens":      {refuse(400, `{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: 90000 > 64000, which is the maximum allowed number of output tokens"}}`), model.Invalid, "max_tokens", 1},
		"Anthropic, overloaded":       {refuse(529, `{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}`), model.Unavailable, "Overloaded", 3},
		"Anthropic, no such model":    {refuse(404, `{"type":"error","error":{"type":"not_found_error","message":"model: claude-none"}}`), model.Invalid, "model: claude-none", 1},
		"OpenAI, out of money":        {refuse(429, `{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}`), model.RateLimited, "current quota", 1},
		"OpenAI, too long":            {refuse(400, `{"error":{"message":"This model's maximum context length is 128000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}`), model.TooLong, "maximum context length", 1},
		"OpenAI, too long a minute":   {refuse(429, `{"error":{"message":"Request too large for gpt-x on tokens per min (TPM): Limit 30000, Requested 40000.","type":"tokens","param":null,"code":"rate_limit_exceeded"}}`), model.TooLong, "Request too large", 1},
		"OpenAI, asked not to":        {refuse(500, `{"error":{"message":"no"}}`, "X-Should-Retry", "false"), model.Unavailable, "no", 1},
		"OpenAI, asked to":            {refuse(400, `{"error":{"message":"again"}}`, "X-Should-Retry", "true"), model.Invalid, "again", 3},
		"Google, wrong key":           {refuse(400, `[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]`), model.Invalid, "API key not valid", 1},
		"Google, rate limit":          {refuse(429, `[{"error":{"code":429,"message":"slow down","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"33s"}]}}]`), model.RateLimited, "slow down", 3},
		"Google, too long":            {refuse(400, `[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]`), model.TooLong, "input token count", 1},
		"vLLM":                        {refuse(404, `{"object":"error","message":"The model m does not exist.","type":"NotFoundError","param":null,"code":404}`), model.Invalid, "does not exist", 1},
		"Ollama":                      {refuse(404, `{"error":"model 'm' not found"}`), model.Invalid, "model 'm' not found", 1},
		"FastAPI":                     {refuse(422, `{"detail":[{"loc":["body"],"msg":"bad"}]}`), model.Invalid, `"msg":"bad"`, 1},
		"a proxy's page":              {refuse(502, "<html><head><style>p{}</style></head><body><h1>502 Bad\tGateway</h1></body></html>", "Content-Type", "text/html"), model.Unavailable, "502 Bad Gateway", 3},
		"nothing at all":              {refuse(500, ""), model.Unavailable, "Internal Server Error", 3},
		"a page instead of an answer": {refuse(200, "<html><body>Please sign in</body></html>", "Content-Type", "text/html"), model.Invalid, "Please sign in", 1},
		"no stream":                   {refuse(200, `{"choices":[{"message":{"content":"ok"}}]}`), model.Invalid, "cannot stream", 1},
		"an error in place of one":    {refuse(200, `{"error":{"message":"backend is down","code":503}}`), model.Unavailable, "backend is down", 3},
		"a redirect":                  {refuse(307, "", "Location", "http://elsewhere.test/v1"), model.Invalid, "redirects to http://elsewhere.test", 1},
		"control characters":          {refuse(400, `{"error":{"message":"a\u001b[31mb\u200b\r\nc"}}`), model.Invalid, "ab c", 1},
		"a stream that is no JSON":    {events("{oops"), model.Unavailable, "cannot be read", 3},
		"a stream that ends":          {events(`{"choices":[{"delta":{"content":"half"}}]}`), model.Unavailable, "ended in the middle", 3},
		"a refusal in the stream":     {events(`{"error":{"message":"prompt is too long","type":"invalid_request_error","code":400}}`), model.TooLong, "prompt is too long", 1},
		"a server error in it":        {events(`{"error":{"message":"oh","type":"server_error"}}`), model.Unavailable, "oh", 3},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := serve(t, c.answer)
			w := "OpenAI"
			if strings.HasPrefix(name, "Anthropic") {
				w = "Anthropic"
			}
			var watch clock
			o := watch.options()
			o.Tries = 3
			reply, err := open(t, wire(t, w, p.URL), o).Generate(t.Context(), ask("?"), nil)
			e := failed(t, err, c.kind)
			require.Contains(t, e.Text, c.text)
			require.Equal(t, w, e.Provider)
			require.Len(t, p.requests(), c.tries)
			require.Empty(t, reply.Text)
			if name == "Google, rate limit" {
				require.Equal(t, 33*time.Second, e.RetryAfter)
			}
		})
	}
}

func TestErrorsOfAnthropicsStream(t *testing.T) {
	t.Parallel()
	for kind, want := range map[string]struct {
		kind  model.Kind
		tries int
	}{"overloaded_error": {model.Unavailable, 2}, "rate_limit_error": {model.RateLimited, 2}, "invalid_request_error": {model.Invalid, 1}, "authentication_error": {model.Unauthorized, 1}} {
		p := serve(t, events(fmt.Sprintf(`{"type":"error","error":{"type":%q,"message":"sorry"}}`, kind)))
		var watch clock
		o := watch.options()
		o.Tries = 2
		_, err := open(t, wire(t, "Anthropic", p.URL), o).Generate(t.Context(), ask("?"), nil)
		require.Equal(t, "sorry", failed(t, err, want.kind).Text, kind)
		require.Len(t, p.requests(), want.tries)
	}
}

func TestErrorsNeverHoldTheKey(t *testing.T) {
	t.Parallel()
	for w := range wires {
		p := serve(t, func(rw http.ResponseWriter, r *http.Request) {
			given := r.Header.Get("Authorization") + r.Header.Get("X-Api-Key")
			refuse(401, fmt.Sprintf(`{"error":{"message":"Incorrect API key provided: %s."}}`, given))(rw, r)
		})
		_, err := open(t, wire(t, w, p.URL), model.Options{}).Generate(t.Context(), ask("?"), nil)
		e := failed(t, err, model.Unauthorized)
		require.Contains(t, e.Text, "Incorrect API key provided")
		require.NotContains(t, fmt.Sprintf("%+v %v", e, e.Err), "right-0123456789")
	}
}

func TestLongErrorsAreCut(t *testing.T) {
	t.Parallel()
	p := serve(t, refuse(400, `{"error":{"message":"`+strings.Repeat("very long ", 10_000)+`"}}`))
	_, err := open(t, wire(t, "OpenAI", p.URL), model.Options{}).Generate(t.Context(), ask("?"), nil)
	e := failed(t, err, model.Invalid)
	require.Less(t, len(e.Text), 1100)
	require.Contains(t, e.Text, "very long")
}

func TestAnAnswerIsNotReadWithoutEnd(t *testing.T) {
	t.Parallel()
	word := `{"choices":[{"delta":{"content":"` + strings.Repeat("a", 1<<20) + `"}}]}`
	p := serve(t, events(slices.Repeat([]string{word}, 40)...))
	_, err := open(t, wire(t, "OpenAI", p.URL), model.Options{}).Generate(t.Context(), ask("?"), nil)
	require.Contains(t, failed(t, err, model.Invalid).Text, "longer than 32 MiB")
	require.Len(t, p.requests(), 1)
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	p := serve(t, chatDone)
	p.Close()
	var watch clock
	_, err := open(t, wire(t, "OpenAI", p.URL), watch.options()).Generate(t.Context(), ask("?"), nil)
	e := failed(t, err, model.Unavailable)
	require.Contains(t, e.Text, "connection refused")
	require.NotContains(t, e.Text, "/v1/chat")
	require.Len(t, watch.waits, 5)
}
