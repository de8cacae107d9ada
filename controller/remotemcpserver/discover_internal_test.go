package remotemcpserver

import (
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzOneLineIsShortAndHidesNothing(f *testing.F) {
	f.Add("Lists pods.\n\nThen \x1b[31mmore\u200b.")
	f.Add(string([]byte{0xff, 0xfe, 'a'}))
	f.Fuzz(func(t *testing.T, s string) {
		line := oneLine(s)
		require.LessOrEqual(t, len(line), mostDescription)
		require.True(t, utf8.ValidString(line))
		for _, r := range line {
			require.True(t, unicode.IsGraphic(r), "%q", r)
		}
	})
}
