package mcpkit_test

import (
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/mcpkit"
)

func TestACallersRequestsTakeSoMuchMemory(t *testing.T) {
	s := serveIssuer(t)
	o := mcpkit.Options{Authenticator: newOIDC(t, mcpkit.OIDCConfig{IssuerURL: s.url, Audience: "shelf"})}
	url := start(t, handler(t, newShelf(), o, mcpkit.HTTPOptions{MaxRequestBytes: 1000}))
	as := func(who string) map[string]string {
		return map[string]string{"Authorization": "Bearer " + s.Token("shelf", map[string]any{"sub": who})}
	}
	ask := func(who string) (status int, answer string) {
		resp := post(t, url, getSaw, as(who))
		return resp.StatusCode, text(t, resp)
	}
	patient := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	var bodies []*io.PipeWriter
	for i := range 8 {
		body, writer := io.Pipe()
		bodies = append(bodies, writer)
		slow := request(t, url, "", as("ada"))
		slow.Body, slow.ContentLength = body, 1000
		if i == 0 {
			slow.ContentLength = -1 // it may become as long as any
		}
		slow.Header.Set("Expect", "100-continue")
		go func() {
			if resp, err := patient.Do(slow); err == nil {
				resp.Body.Close()
			}
		}()
		_, err := writer.Write([]byte(" ")) // not before the server wants it
		require.NoError(t, err)
	}
	status, answer := ask("ada")
	require.Equal(t, http.StatusTooManyRequests, status)
	require.Equal(t, "unavailable: "+s.url+"#ada has requests of 8000 bytes under way here, and they may take 8000 at once; wait for some to end, or try again in 1 s\n", answer)
	status, answer = ask("bea")
	require.Equal(t, http.StatusOK, status, answer)
	for _, b := range bodies {
		b.CloseWithError(io.ErrUnexpectedEOF)
	}
	require.Eventually(t, func() bool { status, _ := ask("ada"); return status == http.StatusOK }, time.Minute, 5*time.Millisecond)
}
