package prometheus

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// filtered is what a reader gets of an answer, read a byte at a time.
func filtered(t testing.TB, answer string, keep int) (string, int) {
	t.Helper()
	tl := &tally{keep: keep}
	body := &boundedBody{body: io.NopCloser(iotest.OneByteReader(strings.NewReader(answer))), list: listFilter{tally: tl}}
	out, err := io.ReadAll(body)
	require.NoError(t, err)
	return string(out), tl.total
}

func TestListFilter(t *testing.T) {
	for _, c := range []struct {
		answer, want string
		keep, total  int
	}{
		{`{"status":"success","data":["a","b","c"],"warnings":["w","x"]}`, `{"status":"success","data":["a","b"],"warnings":["w","x"]}`, 2, 3},
		{`{"status":"success","data":["a","b"]}`, `{"status":"success","data":["a","b"]}`, 2, 2},
		{`{"status":"success","data":[]}`, `{"status":"success","data":[]}`, 2, 0},
		{`{"data":{"resultType":"vector","result":[{"metric":{"a":"],[{\"}"},"value":[1,"2"]}, {"metric":{},"value":[1,"3"]}]},"infos":["i"]}`,
			`{"data":{"resultType":"vector","result":[{"metric":{"a":"],[{\"}"},"value":[1,"2"]} ]},"infos":["i"]}`, 1, 2},
		{`{"warnings":["w","x","y"],"data":{"result":[1,2,3]}}`, `{"warnings":["w","x","y"],"data":{"result":[]}}`, 0, 3},
		{`{"error":"no","data":{"a":{"result":[1,2,3]}}}`, `{"error":"no","data":{"a":{"result":[1,2,3]}}}`, 1, 0},
	} {
		got, total := filtered(t, c.answer, c.keep)
		require.Equal(t, c.want, got)
		require.Equal(t, c.total, total)
		require.True(t, json.Valid([]byte(got)))
	}
}

func TestBoundedBodyStopsAHugeAnswer(t *testing.T) {
	t.Parallel()
	huge := func() io.ReadCloser {
		line := strings.Repeat(`"0123456789",`, 1000)
		return io.NopCloser(io.MultiReader(strings.NewReader(`{"data":[`), strings.NewReader(strings.Repeat(line, 2000))))
	}
	_, err := io.ReadAll(&boundedBody{body: huge()})
	require.ErrorContains(t, err, "too_large: Prometheus answers with more than 12 MB")
	kept, err := io.ReadAll(&boundedBody{body: huge(), list: listFilter{tally: &tally{keep: 3}}})
	require.NoError(t, err)
	require.Equal(t, `{"data":["0123456789","0123456789","0123456789"`, string(kept))
}

// FuzzListFilter holds the filter to what a JSON decoder sees.
func FuzzListFilter(f *testing.F) {
	f.Add(`{"status":"success","data":["a","b","c"]}`, 2)
	f.Add(`{"data":{"result":[{"metric":{"a":"\\\""},"values":[[1,"2"]]},{}]}}`, 1)
	f.Add(`{"data":{"result":[[],[],{}],"result":[1]}}`, 1)
	f.Fuzz(func(t *testing.T, answer string, keep int) {
		if keep < 0 || !json.Valid([]byte(answer)) {
			return
		}
		tl := &tally{keep: keep}
		out, err := io.ReadAll(&boundedBody{body: io.NopCloser(strings.NewReader(answer)), list: listFilter{tally: tl}})
		require.NoError(t, err)
		require.True(t, json.Valid(out), fmt.Sprintf("%q became %q", answer, out))
	})
}
