package prometheus

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
)

// line is a series whose value is 1 at each # of a picture, a minute apart.
func line(picture string, labels model.Metric) stream {
	s := stream{metric: labels}
	for i := range len(picture) {
		if picture[i] == '#' {
			s.points = append(s.points, point{model.Time(i) * 60_000, float64(i)})
		}
	}
	return s
}

// played draws when a simulation fires, in the same way.
func played(s simulation, streams ...stream) string {
	out := s.simulate(streams, time.UnixMilli(0), time.UnixMilli(11*60_000), time.Minute)
	picture := []byte("............")
	for _, e := range out.fired {
		for at := e.start; at.Before(e.end); at = at.Add(time.Minute) {
			picture[at.Unix()/60] = '#'
		}
	}
	return string(picture)
}

func TestSimulationFollowsPrometheus(t *testing.T) {
	m := func(n int) time.Duration { return time.Duration(n) * time.Minute }
	for _, c := range []struct {
		name      string
		rule      simulation
		in, fires string
	}{
		{"at once", simulation{}, "..###..#....", "..###..#...."},
		{"for: the first evaluation counts as 0", simulation{hold: m(2)}, "..#####.....", "....###....."},
		{"for: a gap begins anew", simulation{hold: m(2)}, "##.###..##.#", ".....#......"},
		{"keep: from the first evaluation without it", simulation{keep: m(2)}, ".##.........", ".####......."},
		{"keep: back in time goes on without for", simulation{hold: m(1), keep: m(2)}, ".##..##.....", "..#######..."[:12]},
		{"keep does not hold what is pending", simulation{hold: m(2), keep: m(3)}, ".##.##......", "............"},
		{"to the end", simulation{hold: m(1)}, ".........###", "..........##"},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.fires, played(c.rule, line(c.in, model.Metric{"a": "b"})))
		})
	}
}

func TestSimulationKeepsSeriesApart(t *testing.T) {
	a, b := line("####........", model.Metric{"__name__": "x", "disk": "a"}), line("........####", model.Metric{"__name__": "x", "disk": "b"})
	out := simulation{hold: time.Minute}.simulate([]stream{a, b}, time.UnixMilli(0), time.UnixMilli(11*60_000), time.Minute)
	require.Len(t, out.fired, 2)
	require.Equal(t, model.LabelSet{"disk": "a"}, out.fired[0].labels)
	require.InDelta(t, 3, out.fired[0].peak, 0)
	require.True(t, out.fired[1].open)

	one := simulation{labels: model.LabelSet{"disk": "all"}}
	require.Equal(t, "####....####", played(one, a, b), "two series may become one alert in turn")
	c := line("..##........", model.Metric{"disk": "c"})
	out = one.simulate([]stream{a, c}, time.UnixMilli(0), time.UnixMilli(11*60_000), time.Minute)
	require.Equal(t, 2, out.failed, "but not at once")
	require.Equal(t, "####........", played(one, a, c), "a failed evaluation changes nothing")

	capped := simulation{limit: 1}
	require.Equal(t, "##..........", played(capped, a, c), "above the limit all alerts go")
}

// Whatever comes and goes, a series fires once at a time, never sooner than for
// allows, and only from where it was there.
func FuzzSimulation(f *testing.F) {
	f.Add("##.###..####", "#.#.#.#.#.#.", uint8(1), uint8(2))
	f.Add("............", "############", uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, a, b string, hold, keep uint8) {
		s := simulation{hold: time.Duration(hold%8) * time.Minute, keep: time.Duration(keep%8) * time.Minute}
		first, last := time.UnixMilli(0), time.UnixMilli(40*60_000)
		there := map[string]string{"a": a[:min(len(a), 40)], "b": b[:min(len(b), 40)]}
		out := s.simulate([]stream{line(there["a"], model.Metric{"s": "a"}), line(there["b"], model.Metric{"s": "b"})}, first, last, time.Minute)
		ends := map[model.LabelValue]time.Time{}
		slices.SortFunc(out.fired, func(x, y episode) int { return x.start.Compare(y.start) })
		for _, e := range out.fired {
			name := e.labels["s"]
			require.GreaterOrEqual(t, e.start.Sub(e.active), s.hold)
			require.True(t, e.end.After(e.start))
			require.False(t, e.start.Before(ends[name]), "two at a time")
			require.Equal(t, byte('#'), there[string(name)][e.start.Unix()/60], "it begins where the series is")
			ends[name] = e.end
		}
	})
}

func TestSlotsAreThoseOfPrometheus(t *testing.T) {
	found, err := whole().alertRules(t.Context(), "QueueFull")
	require.NoError(t, err)
	g := found[0].group
	late := g.LastEvaluation.Sub(g.slot(g.LastEvaluation))
	require.GreaterOrEqual(t, late, time.Duration(0))
	require.Less(t, late, time.Duration(g.Interval))
	e, err := whole().evaluate(t.Context(), `timestamp(ALERTS{alertname="CoreDown"})`, time.Now(), 1)
	require.NoError(t, err)
	core, err := whole().alertRules(t.Context(), "CoreDown")
	require.NoError(t, err)
	wrote := time.UnixMilli(int64(asVector(e.value)[0].Value * 1000))
	require.Equal(t, wrote.UnixMilli(), core[0].group.slot(wrote.Add(time.Millisecond)).UnixMilli())
}
