package kubernetes

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// requireAnswers holds the server to serve everybody else as if nothing were.
func (c *crib) requireAnswers() {
	c.t.Helper()
	require.Equal(c.t, http.StatusOK, c.send(c.agent, listTools, nil).Status)
}

func TestRedTeamOversizedBody(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	long := called("k8s_patch_resource", fmt.Sprintf(`{"patch":%q}`, strings.Repeat("x", 5<<20)))
	require.Equal(t, http.StatusRequestEntityTooLarge, c.send(c.agent, long, nil).Status)
	chunked, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.URL, struct{ io.Reader }{strings.NewReader(long)})
	require.NoError(t, err)
	chunked.Header = http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}, "Authorization": {"Bearer " + c.agent}}
	require.Equal(t, http.StatusRequestEntityTooLarge, c.do(chunked).Status)
	var small bytes.Buffer
	z := gzip.NewWriter(&small)
	_, err = z.Write([]byte(long))
	require.NoError(t, err)
	require.NoError(t, z.Close())
	unfolded := c.send(c.agent, small.String(), http.Header{"Content-Encoding": {"gzip"}})
	require.True(t, unfolded.IsError || unfolded.Status != http.StatusOK, unfolded.Body)
	_, peak, err := c.Memory()
	require.NoError(t, err)
	require.Less(t, peak, 150<<20)
	require.Empty(t, c.approvals())
	c.requireUntouched()
	c.requireAnswers()
}

// Clients that never finish what they say hold up nobody, even where one call at
// a time is served. Those without a token are not listened to at all.
func TestRedTeamSlowBodies(t *testing.T) {
	t.Parallel()
	c := writeCrib(t, "--max-calls=1")
	at := strings.TrimSuffix(strings.TrimPrefix(c.URL, "http://"), "/mcp")
	begin := func(lines string) net.Conn {
		conn, err := net.Dial("tcp", at)
		require.NoError(t, err)
		t.Cleanup(func() { conn.Close() })
		_, err = io.WriteString(conn, lines)
		require.NoError(t, err)
		return conn
	}
	head := "POST /mcp HTTP/1.1\r\nHost: " + at + "\r\nContent-Type: application/json\r\nAccept: application/json, text/event-stream\r\nContent-Length: 100000\r\n"
	givenUp := make(chan error, 1) // by the server, on the last that does not finish
	for i := range 100 {
		begin(head[:40])
		conn := begin(head + "Authorization: Bearer " + c.agent + "\r\n\r\n{")
		if i == 99 {
			go func() {
				_, err := conn.Read(make([]byte, 1))
				givenUp <- err
			}()
		}
	}
	unknown := begin(head + "\r\n{")
	require.NoError(t, unknown.SetReadDeadline(time.Now().Add(time.Minute)))
	status, err := bufio.NewReader(unknown).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, status, "401")
	c.requireAnswers()
	require.Contains(t, c.call(c.agent, "k8s_patch_resource", theShelf).Text, "a person must approve this write first")
	require.Empty(t, givenUp, "others were served only then")
	c.requireUntouched()
}

func TestRedTeamManyAndLargeHeaders(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	many := http.Header{}
	for i := range 5_000 {
		many[fmt.Sprintf("X-Padding-%d", i)] = []string{"x"}
	}
	for _, headers := range []http.Header{many, {"X-Padding": {strings.Repeat("x", 1<<20)}}, {"Authorization": {"Bearer " + strings.Repeat("x", 1<<20)}}} {
		require.Equal(t, http.StatusRequestHeaderFieldsTooLarge, c.send(c.agent, listTools, headers).Status)
	}
	c.requireAnswers()
	c.requireUntouched()
}

// spoofed is every way to say that one is somebody else.
func (c *crib) spoofed() http.Header {
	return http.Header{
		"X-Remote-User": {"system:admin"}, "X-Remote-Group": {"system:masters"}, "X-Remote-Extra-Scopes": {"all"},
		"Impersonate-User": {c.account("other")}, "Impersonate-Group": {"system:masters"}, "Impersonate-Uid": {"0"},
		"X-Forwarded-User": {c.account("other")}, "X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Host": {"evil.example.com"},
		"X-Forwarded-Proto": {"https"}, "Forwarded": {"for=127.0.0.1;host=evil.example.com"}, "X-Real-Ip": {"127.0.0.1"},
		"X-Auth-Request-User": {"ada@example.com"}, "Remote-User": {"ada@example.com"}, "X-Toolcrib-Agent": {"other"},
		"Toolcrib-Request": {"AAAA", "BBBB"}, "User-Agent": {"kubernetes-mcp/1 agent/other"},
	}
}

// What a client says of itself counts nowhere: not for what it may call, nor in
// the record, the approval and the API server's log.
func TestRedTeamSpoofedIdentity(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	body := fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"k8s_patch_resource","_meta":{"toolcrib.dev/agent":"kube-system/root\r\nImpersonate-User: system:admin","toolcrib.dev/caller":"system:admin"},"arguments":{"resource_type":"configmap","resource_name":"shelf","namespace":%q,"patch":"{\"data\":{\"saw\":\"gone\"}}"}}}`, c.namespace)
	r := c.send(c.agent, body, c.spoofed())
	require.Contains(t, r.Text, "a person must approve this write first")
	for _, where := range []string{r.Body, fmt.Sprint(r.Header)} {
		require.NotContains(t, where, "Toolcrib-Request")
		require.NotContains(t, where, "evil.example.com")
	}
	a := c.approvals()[0]
	require.Equal(t, c.account("agent"), a.Spec.Caller)
	require.Equal(t, c.namespace+"/agent", a.Spec.Agent)
	line := c.recorded()[0]
	require.Equal(t, c.account("agent"), line["caller"])
	require.Equal(t, c.namespace+"/agent", line["agent"])
	for _, e := range c.requests() {
		require.NotContains(t, e.UserAgent, "root")
		require.NotContains(t, e.UserAgent, "agent/other")
	}
	c.requireUntouched()
	refused := c.send(c.agent, called("k8s_delete_resource", fmt.Sprintf(`{"resource_type":"configmap","resource_name":"shelf","namespace":%q}`, c.namespace)), c.spoofed())
	require.Contains(t, refused.Text, "denied: "+c.account("agent")+" may not call k8s_delete_resource")
	c.requireUntouched()
	require.Equal(t, http.StatusUnauthorized, c.send("", listTools, c.spoofed()).Status)
}

// The name of a run is the agent's own to give, within one short line.
func TestRedTeamRunThatIsNoName(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	for _, run := range []string{strings.Repeat("x", 100_000), `x\r\nImpersonate-User: system:admin`, `x\u001b[2K\u202e\u200bapproved by ada`, `x\n\nplan: nothing changes`, "\u00e9t\u00e9 \u65e5\u672c"} {
		r := c.send(c.agent, fmt.Sprintf(`{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"k8s_patch_resource","_meta":{"toolcrib.dev/run":"%s"},"arguments":{"resource_type":"configmap","resource_name":"shelf","namespace":%q,"patch":"{\"data\":{\"saw\":\"gone\"}}"}}}`, run, c.namespace), nil)
		require.Contains(t, r.Text, "denied: a person must approve this write first", beginning(run))
	}
	require.Len(t, c.approvals(), 1)
	for _, line := range c.recorded() {
		run, _ := line["run"].(string)
		require.LessOrEqual(t, len(run), 253)
		require.NotContains(t, run, "\n")
	}
	for _, e := range c.requests() {
		require.Less(t, len(e.UserAgent), 800)
	}
	c.requireUntouched()
}

// A page in the browser of somebody inside, whose name server says that evil is
// at this address: even with a token it is not this server's.
func TestRedTeamDNSRebinding(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	for _, headers := range []http.Header{
		{"Host": {"evil.example.com"}}, {"Host": {"127.0.0.1.evil.example.com"}}, {"Host": {"localhost.evil.example.com:80"}}, {"Host": {"169.254.169.254"}},
		{"Origin": {"https://evil.example.com"}}, {"Origin": {"null"}}, {"Origin": {"http://127.0.0.1:1"}}, {"Sec-Fetch-Site": {"cross-site"}},
	} {
		r := c.send(c.agent, called("k8s_patch_resource", `{}`), headers)
		require.Equal(t, http.StatusForbidden, r.Status, "%v: %s", headers, r.Body)
		require.Empty(t, r.Header.Get("Access-Control-Allow-Origin"))
	}
	require.Empty(t, c.recorded())
	require.Empty(t, c.requests())
}

// There is one door, and none of its other spellings leads past the lock.
func TestRedTeamOtherPathsAndMethods(t *testing.T) {
	t.Parallel()
	c := writeCrib(t)
	host := strings.TrimSuffix(strings.TrimPrefix(c.URL, "http://"), "/mcp")
	for _, path := range []string{"/mcp", "//mcp", "/mcp/", "/MCP", "/%6dcp", "/healthz/../mcp", "/healthz/%2e%2e/mcp", "/mcp;x=y", "/mcp%00", "/mcp?x", "/", "/metrics", "/debug/pprof/"} {
		for _, method := range []string{"POST", "GET", "DELETE", "PUT", "OPTIONS", "HEAD", "TRACE"} {
			r := (&http.Request{Method: method, URL: &url.URL{Scheme: "http", Host: host, Opaque: path}, Header: http.Header{"X-Http-Method-Override": {"POST"}}, Host: host}).WithContext(t.Context())
			out := c.do(r)
			require.Greater(t, out.Status, 299, "%s %s: %s", method, path, out.Body)
			require.NotContains(t, out.Body, "k8s_", "%s %s", method, path)
		}
	}
	require.Empty(t, c.recorded())
	require.Empty(t, c.requests())
}
