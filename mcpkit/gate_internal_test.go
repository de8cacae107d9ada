package mcpkit

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func FuzzVerify(f *testing.F) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	g := newGate(Options{Key: []byte("key"), Now: func() time.Time { return now }})
	genuine := g.sign(asked{Hash: "h", Nonce: "n", Expires: now.Add(time.Hour)})
	f.Add(genuine)
	f.Add("." + genuine)
	f.Add("e30.e30")
	f.Fuzz(func(t *testing.T, state string) {
		p, err := g.verify(state)
		if state == genuine {
			require.NoError(t, err)
			require.Equal(t, "n", p.Nonce)
			return
		}
		if err == nil { // the same bytes in another spelling of base64
			require.Equal(t, "n", p.Nonce)
			return
		}
		require.Equal(t, asked{}, p)
	})
}

func TestUsedApprovalsAreForgottenOnceExpired(t *testing.T) {
	now := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	g := newGate(Options{Now: func() time.Time { return now }})
	require.True(t, g.useOnce(asked{Nonce: "a", Expires: now.Add(time.Minute)}))
	require.False(t, g.useOnce(asked{Nonce: "a", Expires: now.Add(time.Minute)}))
	now = now.Add(time.Hour)
	require.True(t, g.useOnce(asked{Nonce: "b", Expires: now.Add(time.Minute)}))
	require.Len(t, g.used, 1)
}

// hashesOf binds a call with raw arguments, as changed, to a plan, as changed.
func hashesOf(t *testing.T, raw string, change func(*Call, *Plan)) (arguments, plan string) {
	t.Helper()
	type in struct {
		Name     string   `json:"name"`
		Replicas int      `json:"replicas,omitempty"`
		Force    bool     `json:"force,omitempty"`
		Names    []string `json:"names,omitempty"`
		Object   Object   `json:"object,omitempty"`
	}
	args, err := inferInput[in]("t").check([]byte(raw))
	require.NoError(t, err)
	c := &Call{tool: &tool{Tool: Tool{Name: "t"}}, Caller: Caller{Name: "ada", UID: "1"}, args: args}
	p := Plan{Target: "t", Diff: "d", Notes: []string{"n"}, Seen: []string{"1"}}
	if change != nil {
		change(c, &p)
	}
	return newGate(Options{Name: "s", Key: []byte("key")}).hashes(c, p)
}

func TestTheSameArgumentsHaveTheSameHash(t *testing.T) {
	same, _ := hashesOf(t, `{"name":"wéb","replicas":3,"force":true,"names":["a"],"object":{"a":1,"b":"<"}}`, nil)
	for _, raw := range []string{
		` { "replicas" : 3, "force":true, "names":["a"], "object":{"b":"<","a":1}, "name":"wéb" } `,
		`{"name":"w\u00e9b","replicas":3.0,"force":true,"names":["a"],"object":{"a":1,"b":"\u003c"}}`,
		`{"name":"wéb","replicas":"3e0","force":"True","names":"[\"a\"]","object":{"a":1,"b":"<"}}`,
	} {
		got, _ := hashesOf(t, raw, nil)
		require.Equal(t, same, got, raw)
	}
	seen := map[string]bool{same: true}
	for _, raw := range []string{
		`{"name":"web"}`, `{"name":"web "}`, `{"name":"Web"}`, `{"name":"wеb"}`, // the last with a Cyrillic letter
		`{"name":"web","replicas":0}`, `{"name":"web","replicas":1}`, `{"name":"web","force":false}`, `{"name":"web","force":true}`,
		`{"name":"web","names":[]}`, `{"name":"web","names":["a","b"]}`, `{"name":"web","names":["a,b"]}`, `{"name":"web","names":["b","a"]}`,
		`{"name":"web","object":{"a":1}}`, `{"name":"web","object":{"a":1.0}}`, `{"name":"web","object":{"a":"1"}}`, `{"name":"web","object":{"a":null}}`,
	} {
		got, _ := hashesOf(t, raw, nil)
		require.False(t, seen[got], raw)
		seen[got] = true
	}
}

func TestAnApprovalBindsEverythingButHowThingsStand(t *testing.T) {
	arguments, plan := hashesOf(t, `{"name":"web"}`, nil)
	seen := map[string]bool{plan: true}
	for name, change := range map[string]func(*Call, *Plan){
		"target":  func(_ *Call, p *Plan) { p.Target = "T" },
		"diff":    func(_ *Call, p *Plan) { p.Diff = "D" },
		"notes":   func(_ *Call, p *Plan) { p.Notes = []string{"N"} },
		"seen":    func(_ *Call, p *Plan) { p.Seen = []string{"2"} },
		"borders": func(_ *Call, p *Plan) { p.Notes, p.Seen = []string{"n", "1"}, nil },
	} {
		a, got := hashesOf(t, `{"name":"web"}`, change)
		require.Equal(t, arguments, a, name)
		require.False(t, seen[got], name)
		seen[got] = true
	}
	for name, change := range map[string]func(*Call, *Plan){
		"tool":      func(c *Call, _ *Plan) { c.tool = &tool{Tool: Tool{Name: "other"}} },
		"caller":    func(c *Call, _ *Plan) { c.Caller.Name = "bob" },
		"namesake":  func(c *Call, _ *Plan) { c.Caller.UID = "2" },
		"arguments": func(c *Call, _ *Plan) { c.args = []byte(`{"name":"db"}`) },
	} {
		a, got := hashesOf(t, `{"name":"web"}`, change)
		require.NotEqual(t, arguments, a, name)
		require.False(t, seen[got], name)
		seen[got] = true
	}
	same, also := hashesOf(t, `{"name":"web"}`, func(c *Call, p *Plan) { c.ID, c.Run, p.State, p.Now = "id", "run", 1, []string{"moves by itself"} })
	require.Equal(t, []string{arguments, plan}, []string{same, also})
}

func TestHashesTellNothingWithoutTheKey(t *testing.T) {
	g := newGate(Options{Key: []byte("key")})
	require.Equal(t, g.hash("a"), newGate(Options{Key: []byte("key")}).hash("a"))
	require.NotEqual(t, g.hash("a"), newGate(Options{Key: []byte("other")}).hash("a"))
}
