package prometheus

import (
	"testing"
	"time"

	promv1 "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestPointsTellWhatComesAndGoes(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 0, 0, 400_600, time.UTC) // Prometheus rounds to milliseconds
	series := func(values map[int]float64) *model.SampleStream {
		s := &model.SampleStream{}
		for i := range 10 {
			if v, ok := values[i]; ok {
				s.Values = append(s.Values, model.SamplePair{Timestamp: model.TimeFromUnix(start.Unix() + int64(60*i)), Value: model.SampleValue(v)})
			}
		}
		return s
	}
	var out QueryRangeOut
	out.show(model.Matrix{
		series(map[int]float64{2: 1, 3: 1, 6: 1, 7: 1, 8: 1, 9: 1}),
		series(map[int]float64{2: 5, 3: 5, 4: 6}),
	}, evaluation{}, promv1.Range{Start: start, End: start.Add(9 * time.Minute), Step: time.Minute})
	require.Equal(t, [][]string{
		{"01-02 03:02:00", "1", "5"},
		{"01-02 03:04:00", "-", "6"},
		{"01-02 03:05:00", "-", "-"},
		{"01-02 03:06:00", "1", "-"},
	}, out.Points.Rows)
	require.Equal(t, []string{
		"gaps in 1 of 2 series", "1 of 2 series ended before the range did",
		"points has a row for each change, which holds until the next; - is no value",
	}, out.Notes)
}
