package model

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	streamMessages = `{"model":"m","max_tokens":4096,"stream":true,"messages":[{"role":"user","content":"?"}]}`
	streamChat     = `{"model":"m","stream":true,"messages":[{"role":"user","content":"?"}]}`
)

func shippedServer(t *testing.T, name string) *Server {
	t.Helper()
	s, err := Shipped(name)
	require.NoError(t, err)
	return serve(t, Options{Scenario: s})
}

func TestRateLimited(t *testing.T) {
	server := shippedServer(t, "rate-limited")
	r := ask(t, server, streamMessages)
	require.Equal(t, 429, r.status)
	require.Equal(t, "1", r.header.Get("Retry-After"))
	require.Contains(t, r.body, `"type":"rate_limit_error"`)
	r = chatAsk(t, server, streamChat)
	require.Equal(t, 429, r.status)
	require.Equal(t, "1", r.header.Get("Retry-After"))
	require.Contains(t, r.body, `"code":"rate_limit_exceeded"`)
	require.Contains(t, chatAsk(t, server, streamChat).body, "Here you are.")
}

func TestOverloaded(t *testing.T) {
	server := shippedServer(t, "overloaded")
	r := ask(t, server, streamMessages)
	require.Equal(t, 529, r.status)
	require.Contains(t, r.body, `"type":"overloaded_error"`)
	r = ask(t, server, streamMessages)
	require.Equal(t, 500, r.status)
	require.Contains(t, r.body, `"type":"api_error"`)
	r = ask(t, server, streamMessages)
	require.Equal(t, 200, r.status)
	require.NoError(t, r.err)
	require.Equal(t, 2, strings.Count(r.body, "event: content_block_delta"))
	require.Contains(t, r.body, "event: error\ndata: {\"error\":{")
	require.NotContains(t, r.body, "message_stop")
	require.Contains(t, ask(t, server, streamMessages).body, "Here you are.")
}

func TestCutOff(t *testing.T) {
	for path, body := range map[string]string{"/v1/messages": streamMessages, "/v1/chat/completions": streamChat} {
		server := shippedServer(t, "cut-off")
		require.ErrorContains(t, post(t, server, path, body, version...).err, "EOF")
		r := post(t, server, path, body, version...)
		require.Equal(t, 200, r.status)
		require.ErrorContains(t, r.err, "unexpected EOF")
		require.Contains(t, r.body, "This is an answer that n")
		require.Contains(t, post(t, server, path, body, version...).body, "Here you are.")
	}
}

func TestSilentUntilTheClientGoes(t *testing.T) {
	server := shippedServer(t, "silent")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, server.URL+"/v1/chat/completions", strings.NewReader(streamChat))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	got := make([]byte, 40)
	_, err = res.Body.Read(got)
	require.NoError(t, err)
	cancel()
	_, err = res.Body.Read(got)
	for err == nil {
		_, err = res.Body.Read(got)
	}
	require.ErrorIs(t, err, context.Canceled)
}

func TestMalformedCalls(t *testing.T) {
	k := playing(t, "malformed-calls", "k8s_get_resources")
	r := k.say("?")
	require.Equal(t, []string{`k8s_get_resources "{\"resource_type\": \"pods\", \"all_namesp"`}, r.calls())
	r = k.answer(r, "no JSON")
	require.Equal(t, []string{`k8s_make_coffee {"sugar":true}`}, r.calls())
	r = k.answer(r, "no such tool")
	require.Equal(t, []string{`k8s_get_resources {"limit":"many","resource_type":["pods"]}`}, r.calls())
	r = k.answer(r, "wrong types")
	require.Equal(t, []string{`k8s_get_resources "pods"`}, r.calls())
	require.Equal(t, "I was told four times that this cannot be done.", k.answer(r, "no object").text())
	require.Contains(t, chatAsk(t, k.server, strings.Replace(streamChat, `"stream":true,`, ``, 1)).body, `"arguments":"{\"resource_type\": \"pods\", \"all_namesp"`)
}

func TestEndlessLoop(t *testing.T) {
	k := playing(t, "endless-loop", "k8s_get_events")
	r := k.say("?")
	for i := range 5 {
		require.Equal(t, []string{`k8s_get_events {"namespace":"shop-` + string(rune('0'+i)) + `"}`}, r.calls())
		r = k.answer(r, "nothing")
	}
}

func TestSlowAndHuge(t *testing.T) {
	var mu sync.Mutex
	var waited time.Duration
	slow, err := Shipped("slow")
	require.NoError(t, err)
	server := serve(t, Options{Scenario: slow, Wait: func(_ context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		waited += d
		return nil
	}})
	ask(t, server, streamMessages)
	require.Equal(t, 3*time.Second, waited, "46 bytes in pieces of 8")
	r := chatAsk(t, shippedServer(t, "huge"), strings.Replace(streamChat, `"stream":true,`, ``, 1))
	require.Greater(t, len(r.body), 4_000_000)
	r = ask(t, shippedServer(t, "huge"), streamMessages)
	require.Less(t, len(r.body), 30_000, "max_tokens holds it back")
	require.Contains(t, r.body, `"stop_reason":"max_tokens"`)
}

func TestStampsTellWhenAPieceWasSent(t *testing.T) {
	var mu sync.Mutex
	var pieces []string
	s, err := Parse("t", []byte("chunk: {stamp: true, bytes: 4}\nrules: [{say: Look here.}]"))
	require.NoError(t, err)
	server := serve(t, Options{Scenario: s, Sent: func(_ time.Time, text string) {
		mu.Lock()
		defer mu.Unlock()
		pieces = append(pieces, text)
	}})
	before := time.Now()
	ask(t, server, streamMessages)
	require.Len(t, pieces, 3)
	at, ok := Sent(strings.Join(pieces, ""))
	require.True(t, ok)
	require.False(t, at.Before(before.Truncate(0)))
	require.False(t, at.After(time.Now().Truncate(0)))
	require.True(t, strings.HasSuffix(pieces[0], "]Look"))
	_, ok = Sent("Look here.")
	require.False(t, ok)
}

func TestInstant(t *testing.T) {
	server := serve(t, Options{Instant: []Answer{
		{Say: "Let me look.", Call: []Call{{Tool: "t", Arguments: map[string]any{"a": 1}}}},
		{Say: "All is well.", Chunk: Chunk{Stamp: true}},
	}})
	require.Contains(t, ask(t, server, streamMessages).body, `"stop_reason":"tool_use"`)
	require.Contains(t, chatAsk(t, server, streamChat).body, `"finish_reason":"tool_calls"`)
	require.Contains(t, ask(t, server, `{}`).body, `"input":{"a":1}`)
	later := `{"stream":true,"messages":[{"role":"assistant"}]}`
	r := ask(t, server, later)
	require.Contains(t, r.body, `"stop_reason":"end_turn"`)
	_, ok := Sent(r.body)
	require.True(t, ok)
	require.Contains(t, chatAsk(t, server, later).body, "All is well.")
}

func TestConcurrentRequestsAreAllCounted(t *testing.T) {
	server := started(t, "rules: [{name: few, times: 5, say: few}, {name: rest, say: rest}]", Options{})
	var all sync.WaitGroup
	for range 40 {
		all.Go(func() { chatAsk(t, server, streamChat) })
	}
	all.Wait()
	count := map[string]int{}
	numbers := map[int]bool{}
	for _, r := range server.Requests() {
		count[r.Outcome]++
		numbers[r.Number] = true
	}
	require.Equal(t, map[string]int{"few": 5, "rest": 35}, count)
	require.Len(t, numbers, 40)
}

// BenchmarkInstant is what a turn costs at least: a request, and an answer that
// is streamed.
func BenchmarkInstant(b *testing.B) {
	server, err := Start(Options{Instant: []Answer{{Say: "All is well."}}})
	require.NoError(b, err)
	defer server.Close()
	for b.Loop() {
		res, err := http.Post(server.URL+"/v1/chat/completions", "application/json", strings.NewReader(streamChat))
		require.NoError(b, err)
		_, err = io.Copy(io.Discard, res.Body)
		require.NoError(b, err)
		res.Body.Close()
	}
}
