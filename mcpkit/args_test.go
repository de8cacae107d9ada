package mcpkit

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

type argsIn struct {
	Name   string            `json:"name" jsonschema:"a name"`
	Limit  int               `json:"limit,omitempty" jsonschema:"a number of rows"`
	Ratio  float64           `json:"ratio,omitempty" jsonschema:"a share"`
	Force  bool              `json:"force,omitempty" jsonschema:"whether to insist"`
	Tags   []string          `json:"tags,omitempty" jsonschema:"some tags"`
	Labels map[string]string `json:"labels,omitempty" jsonschema:"labels"`
	Body   Object            `json:"body,omitempty" jsonschema:"an object"`
	Nested *nestedIn         `json:"nested,omitempty" jsonschema:"a part"`
	Since  When              `json:"since,omitzero" jsonschema:"an instant"`
	For    Duration          `json:"for,omitempty" jsonschema:"a length of time"`
	Mode   string            `json:"mode,omitempty" jsonschema:"a mode"`
}

type nestedIn struct {
	Port int `json:"port" jsonschema:"a port"`
}

func (argsIn) Constrain(p Properties) {
	p["limit"].Minimum, p["limit"].Maximum = new(1.0), new(1000.0)
	p["mode"].Enum = []any{"fast", "slow"}
}

func TestCheckPutsRightWhatModelsGetWrong(t *testing.T) {
	s := inferInput[argsIn]("t")
	for args, want := range map[string]string{
		`{"name":"a","limit":"5"}`:                         `{"limit":5,"name":"a"}`,
		`{"name":"a","limit":5.0}`:                         `{"limit":5,"name":"a"}`,
		`{"name":"a","limit":1e2}`:                         `{"limit":100,"name":"a"}`,
		`{"name":"a","ratio":"0.25"}`:                      `{"name":"a","ratio":0.25}`,
		`{"name":"a","force":"True"}`:                      `{"force":true,"name":"a"}`,
		`{"name":7}`:                                       `{"name":"7"}`,
		`{"name":true}`:                                    `{"name":"true"}`,
		`{"name":"a","tags":"[\"x\",\"y\"]"}`:              `{"name":"a","tags":["x","y"]}`,
		`{"name":"a","body":"{\"kind\":\"Pod\"}"}`:         `{"body":{"kind":"Pod"},"name":"a"}`,
		`{"name":"a","body":{"n":12345678901234567890.5}}`: `{"body":{"n":12345678901234567890.5},"name":"a"}`,
		`{"name":"a","since":1767366000}`:                  `{"name":"a","since":"1767366000"}`,
		`{"name":"a","limit":null,"tags":null}`:            `{"name":"a"}`,
	} {
		got, err := s.check(json.RawMessage(args))
		require.NoError(t, err, args)
		require.Equal(t, want, string(got))
		_, err = decode[argsIn](got)
		require.NoError(t, err, args)
	}
}

func TestCheckRefusesByName(t *testing.T) {
	s := inferInput[argsIn]("t")
	names := "body, for, force, labels, limit, mode, name, nested, ratio, since, tags"
	for args, want := range map[string]string{
		`{"name":"a","Limit":5}`:                  `unknown argument "Limit"; did you mean "limit"? The arguments are ` + names,
		`{"name":"a","zzzzzzzzzz":5}`:             `unknown argument "zzzzzzzzzz"; the arguments are ` + names,
		`{"name":"a","name":"b"}`:                 `argument "name" is given twice`,
		`{"name":"a","body":{"x":{"y":1,"y":2}}}`: `argument "y" is given twice`,
		`{}`:                           `argument "name" is required: a name`,
		``:                             `argument "name" is required: a name`,
		`{"name":null}`:                `argument "name" is required: a name`,
		`[]`:                           `the arguments must be one JSON object`,
		`"name"`:                       `the arguments must be one JSON object`,
		`{"name":"a"} {}`:              `the arguments must be one JSON object and nothing after it`,
		`{"name":"a"`:                  `the arguments are not JSON: EOF`,
		`{"name":"a","limit":"five"}`:  `argument "limit" cannot be "five". It must be: integer, at least 1, at most 1000: a number of rows`,
		`{"name":"a","limit":1001}`:    `argument "limit" cannot be 1001. It must be: integer, at least 1, at most 1000: a number of rows`,
		`{"name":"a","limit":"NaN"}`:   `argument "limit" cannot be "NaN". It must be: integer, at least 1, at most 1000: a number of rows`,
		`{"name":"a","limit":2.5}`:     `argument "limit" cannot be 2.5. It must be: integer, at least 1, at most 1000: a number of rows`,
		`{"name":"a","mode":"warp"}`:   `argument "mode" cannot be "warp". It must be: string, one of [fast slow]: a mode`,
		`{"name":"a","force":"maybe"}`: `argument "force" cannot be "maybe". It must be: boolean: whether to insist`,
		`{"name":["a"]}`:               `argument "name" does not fit: type: [a] has type "array", want "string". It must be: string: a name`,
		`{"name":"a","nested":{"port":1,"prot":2}}`: `argument "nested" does not fit: unexpected additional properties ["prot"]. It must be: object: a part`,
	} {
		_, err := s.check(json.RawMessage(args))
		var known *Error
		require.ErrorAs(t, err, &known, args)
		require.Equal(t, Invalid, known.Kind)
		require.Equal(t, want, known.Text, args)
	}
}

func TestCheckBoundsWhatItRepeats(t *testing.T) {
	s := inferInput[argsIn]("t")
	huge := strings.Repeat("x", 1<<20)
	for _, args := range []string{
		`{"` + huge + `":1}`,
		`{"name":"a","limit":"` + huge + `"}`,
		`{"name":["` + huge + `"]}`,
		`{"name":"a","nested":{"` + huge + `":1}}`,
		`{"name":"a","body":` + strings.Repeat(`{"a":`, 100) + `1` + strings.Repeat(`}`, 100) + `}`,
		strings.Repeat(`[`, 1<<20),
	} {
		_, err := s.check(json.RawMessage(args))
		var known *Error
		require.ErrorAs(t, err, &known)
		require.Less(t, len(known.Text), 600, known.Text)
	}
}

func TestNumbersNoTypeHoldsAreTheCallersMistake(t *testing.T) {
	s := inferInput[argsIn]("t")
	for _, args := range []string{`{"name":"a","ratio":1e999}`, `{"name":"a","for":"1x"}`, `{"name":"a","since":"yesterday"}`} {
		canonical, err := s.check(json.RawMessage(args))
		if err == nil {
			_, err = decode[argsIn](canonical)
		}
		var known *Error
		require.ErrorAs(t, err, &known, args)
		require.Equal(t, Invalid, known.Kind)
	}
}

func TestWhenReadsThreeForms(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"15m":                  now.Add(-15 * time.Minute),
		"1h30m":                now.Add(-90 * time.Minute),
		"7d":                   now.Add(-7 * 24 * time.Hour),
		" 15m ":                now.Add(-15 * time.Minute),
		"0":                    now,
		"2026-01-02T15:04:05Z": time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
		"1767366245":           time.Date(2026, 1, 2, 15, 4, 5, 0, time.UTC),
		"1767366245.5":         time.Date(2026, 1, 2, 15, 4, 5, 5e8, time.UTC),
	} {
		w, err := ParseWhen(text)
		require.NoError(t, err, text)
		require.False(t, w.IsZero())
		require.True(t, want.Equal(w.Time(now)), "%s is %s", text, w.Time(now))
	}
	for _, text := range []string{"yesterday", "-5m", "NaN", "Inf", "1e300", "15", "2026-01-02"} {
		w, err := ParseWhen(text)
		if text == "15" { // epoch seconds, long ago
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "is not a time", text)
		require.True(t, w.IsZero())
	}
	absent, err := ParseWhen("")
	require.NoError(t, err)
	require.True(t, absent.IsZero())
	_, ok := absent.Duration()
	require.False(t, ok)
	ahead, ok := Ago(2 * time.Hour).Duration()
	require.True(t, ok)
	require.Equal(t, 2*time.Hour, ahead)
	at, err := ParseWhen("2026-01-02T15:04:05Z")
	require.NoError(t, err)
	_, ok = at.Duration()
	require.False(t, ok)
}

func TestFirstN(t *testing.T) {
	rows, cut := FirstN([]int{1, 2, 3}, 2, 100)
	require.Equal(t, []int{1, 2}, rows)
	require.True(t, cut)
	rows, cut = FirstN([]int{1, 2, 3}, 0, 3)
	require.Equal(t, []int{1, 2, 3}, rows)
	require.False(t, cut)
}

func TestNearest(t *testing.T) {
	for name, want := range map[string][]string{
		"web":     {"web-0", "web-1", "my-web"},
		"WEB-O":   {"web-0", "web-1"},
		"databse": {"database"},
		"q":       nil,
		"":        nil,
	} {
		require.Equal(t, want, Nearest(name, []string{"database", "web-0", "web-1", "my-web", "website"}), name)
	}
	require.Nil(t, Nearest(strings.Repeat("x", 1<<20), []string{"x"}))
}

func FuzzCheck(f *testing.F) {
	s := inferInput[argsIn]("t")
	for _, seed := range []string{`{"name":"a"}`, `{"name":1,"limit":"5"}`, `{"a":1,"a":2}`, `{"name":"a","body":{"x":[1,{"y":null}]}}`, `{"name":"a","limit":1e400}`, `[[[`, `{"name":"a","since":"1h"}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		canonical, err := s.check(raw)
		if err != nil {
			requireKnown(t, err)
			return
		}
		again, err := s.check(canonical)
		require.NoError(t, err, "canonical arguments are accepted")
		require.Equal(t, string(canonical), string(again), "and stay as they are")
		if _, err := decode[argsIn](canonical); err != nil {
			requireKnown(t, err)
		}
	})
}

func requireKnown(t *testing.T, err error) {
	t.Helper()
	var known *Error
	require.ErrorAs(t, err, &known)
	require.Equal(t, Invalid, known.Kind)
	require.Less(t, len(known.Text), 2048)
}

func FuzzParseWhen(f *testing.F) {
	for _, seed := range []string{"15m", "2026-01-02T15:04:05Z", "1767366245", "1e10", "9999999999.9", "0"} {
		f.Add(seed)
	}
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		w, err := ParseWhen(text)
		if err != nil {
			requireKnown(t, err)
			return
		}
		if !w.IsZero() && w.at.IsZero() {
			require.False(t, w.Time(now).After(now), "a duration counts back")
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, seed := range []string{"15m", "1h30m", "7d", "1y", "0", "292y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var d Duration
		if err := d.UnmarshalJSON(mustJSON(text)); err != nil {
			requireKnown(t, err)
			return
		}
		require.GreaterOrEqual(t, d, Duration(0))
	})
}
