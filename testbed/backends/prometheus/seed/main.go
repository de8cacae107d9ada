// Command seed writes the past of the shop, and ten minutes of the sessions,
// as one block into a data folder that no Prometheus uses yet.
package main

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"os"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"

	"github.com/toolcrib/toolcrib/testbed/backends/prometheus/shop"
)

// The steps between samples, and how far back the sessions go: there are too
// many of them for more.
const (
	step         = 5 * time.Minute
	sessionStep  = time.Minute
	sessionsPast = 10 * time.Minute
)

func main() {
	data := flag.String("data", "", "`folder` to write to")
	epoch := flag.Int64("epoch", 0, "the full hour that the shop's times are told from, in Unix `seconds`")
	flag.Parse()
	if err := write(context.Background(), *data, time.Unix(*epoch, 0), time.Now()); err != nil {
		slog.Error("seed", "error", err)
		os.Exit(1)
	}
}

// write fills one block with all that was before now.
func write(ctx context.Context, dir string, epoch, now time.Time) (err error) {
	w, err := tsdb.NewBlockWriter(slog.Default(), dir, (4 * shop.Past).Milliseconds()) // wide, so that nothing in it counts as late
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := writeShop(ctx, w, epoch, now); err != nil {
		return err
	}
	if err := writeSessions(ctx, w, now); err != nil {
		return err
	}
	_, err = w.Flush(ctx)
	return err
}

func writeShop(ctx context.Context, w *tsdb.BlockWriter, epoch, now time.Time) error {
	a := appender{Appender: w.Appender(ctx), refs: map[string]storage.SeriesRef{}}
	for t := epoch.Add(-shop.Past); t.Before(now); t = t.Add(step) {
		for _, s := range shop.At(epoch, t) {
			set := append([]string{"__name__", s.Name}, shop.Target...)
			if s.Label != "" {
				set = append(set, s.Label, s.Value)
			}
			if err := a.add(s.Name+s.Value, set, t, s.Number, nil); err != nil {
				return err
			}
		}
		if r, ok := shop.ResponsesAt(epoch, t); ok {
			set := append([]string{"__name__", "shop_response_seconds"}, shop.Target...)
			if err := a.add("shop_response_seconds", set, t, 0, native(r)); err != nil {
				return err
			}
		}
	}
	return a.Commit()
}

func writeSessions(ctx context.Context, w *tsdb.BlockWriter, now time.Time) error {
	a := appender{Appender: w.Appender(ctx), refs: map[string]storage.SeriesRef{}}
	now = now.Truncate(sessionStep)
	for t := now.Add(-sessionsPast); !t.After(now); t = t.Add(sessionStep) {
		for i := range shop.Sessions {
			user, shard := shop.Session(i)
			set := append([]string{"__name__", "testbed_session_seconds", "user", user, "shard", shard}, shop.SessionTarget...)
			if err := a.add(user, set, t, float64(i), nil); err != nil {
				return err
			}
		}
	}
	return a.Commit()
}

// appender remembers series, which spares their lookup.
type appender struct {
	storage.Appender
	refs map[string]storage.SeriesRef
}

func (a appender) add(key string, set []string, t time.Time, value float64, h *histogram.Histogram) (err error) {
	ref, known := a.refs[key]
	var l labels.Labels
	if !known {
		l = labels.FromStrings(set...)
	}
	if h != nil {
		a.refs[key], err = a.AppendHistogram(ref, l, t.UnixMilli(), h, nil)
	} else {
		a.refs[key], err = a.Append(ref, l, t.UnixMilli(), value)
	}
	return err
}

func native(r shop.Histogram) *histogram.Histogram {
	return &histogram.Histogram{
		Count: r.Count, Sum: r.Sum,
		PositiveSpans:   []histogram.Span{{Offset: 0, Length: uint32(len(r.Buckets))}},
		PositiveBuckets: []int64{int64(r.Buckets[0]), int64(r.Buckets[1] - r.Buckets[0]), int64(r.Buckets[2] - r.Buckets[1])}, // as differences
	}
}
