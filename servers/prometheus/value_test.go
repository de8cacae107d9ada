package prometheus

import (
	"math"
	"strconv"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

func TestNumberKeepsEveryDigit(t *testing.T) {
	for text, value := range map[string]float64{
		"0": 0, "1": 1, "0.1": 0.1, "-3.5": -3.5, "NaN": math.NaN(), "+Inf": math.Inf(1), "-Inf": math.Inf(-1),
		"9007199254740993": 9007199254740992, "1e+21": 1e21, "1e-07": 1e-7, "123456789.123": 123456789.123,
	} {
		got := number(value)
		if text != "9007199254740993" {
			require.Equal(t, text, got)
		}
		back, err := strconv.ParseFloat(got, 64)
		require.NoError(t, err)
		require.Equal(t, math.Float64bits(value), math.Float64bits(back))
	}
	require.Equal(t, "0.333333", rounded(1.0/3))
	require.Equal(t, "+Inf", rounded(math.Inf(1)))
}

func TestDistribution(t *testing.T) {
	bucket := func(lower, upper, count float64) *model.HistogramBucket {
		return &model.HistogramBucket{Lower: model.FloatString(lower), Upper: model.FloatString(upper), Count: model.FloatString(count)}
	}
	h := &model.SampleHistogram{Count: 10, Sum: 12, Buckets: model.HistogramBuckets{bucket(0.5, 1, 6), bucket(1, 2, 3), bucket(2, 4, 1)}}
	require.Equal(t, "count=10 sum=12 p50=0.890899 p90=2 p99=3.73213", distribution(h))
	require.Equal(t, "count=0 sum=0 p50=NaN p90=NaN p99=NaN", distribution(&model.SampleHistogram{}))
	require.Equal(t, "no histogram", distribution(nil))
	zero := &model.SampleHistogram{Buckets: model.HistogramBuckets{bucket(-1, 1, 4)}}
	require.Zero(t, quantile(0.5, zero))
	negative := &model.SampleHistogram{Buckets: model.HistogramBuckets{bucket(-4, -1, 4)}}
	require.Equal(t, -2.0, quantile(0.5, negative))
	open := &model.SampleHistogram{Buckets: model.HistogramBuckets{bucket(5, math.Inf(1), 4)}}
	require.Equal(t, 5.0, quantile(0.99, open))
}
