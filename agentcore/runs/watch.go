package runs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/toolcrib/toolcrib/agentcore/linger"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// How long a watch goes on before it is begun anew, and how long is waited after
// one that failed.
const (
	watchFor   = 5 * time.Minute
	watchFirst = 200 * time.Millisecond
	watchMost  = 15 * time.Second
)

// change is one line of a watch.
type change struct {
	Type   watch.EventType `json:"type"`
	Object json.RawMessage `json:"object"`
}

// errOld is about a watch that cannot go on from where it was.
var errOld = errors.New("the watch is too old to go on")

// changes reads a watch until it ends. It fails with [errOld] when what is there
// must be listed anew.
func (c *Cluster) changes(ctx context.Context, r *rest.Request, version string, each func(change) error) error {
	seconds := int(watchFor.Seconds()) + rand.IntN(60)
	ctx, cancel := context.WithTimeout(ctx, time.Duration(seconds)*time.Second+askTimeout)
	defer cancel()
	body, err := c.on(r).Param("watch", "true").Param("allowWatchBookmarks", "true").Param("resourceVersion", version).
		Param("timeoutSeconds", strconv.Itoa(seconds)).Stream(ctx)
	if apierrors.IsGone(err) || apierrors.IsResourceExpired(err) {
		return errOld
	}
	if err != nil {
		return err
	}
	defer body.Close()
	lines := json.NewDecoder(body)
	for {
		var next change
		if err := lines.Decode(&next); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if next.Type == watch.Error {
			status, _ := decode[metav1.Status](next.Object)
			if status.Code == http.StatusGone {
				return errOld
			}
			return fmt.Errorf("watch runs: %s", status.Message)
		}
		if err := each(next); err != nil {
			return err
		}
	}
}

// Watch implements [Store].
func (c *Cluster) Watch(ctx context.Context, see func(Sighting)) {
	known := map[string]bool{}
	pause := watchFirst
	for ctx.Err() == nil {
		_ = c.watchOnce(ctx, known, func(s Sighting) { pause = watchFirst; see(s) }) // it ends with an error alone, and is begun anew
		if linger.For(ctx, jitter(pause)) != nil {
			return
		}
		pause = min(2*pause, watchMost)
	}
}

// watchOnce lists what is there and tells of changes for as long as it can.
// known are the runs that it told of.
func (c *Cluster) watchOnce(ctx context.Context, known map[string]bool, see func(Sighting)) error {
	request := func() *rest.Request { return c.client.Get().Param("fieldSelector", c.notOver()) }
	listing, cancel := context.WithTimeout(ctx, askTimeout)
	rows, version, err := c.table(listing, request())
	cancel()
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, r := range rows {
		there[r.name], known[r.name] = true, true
		see(r.sighting())
	}
	for name := range known {
		if !there[name] {
			delete(known, name)
			see(Sighting{Name: name, Gone: true})
		}
	}
	var names []string
	each := func(next change) error {
		t, err := decode[metav1.Table](next.Object)
		if err != nil {
			return fmt.Errorf("read a watch of runs: %w", err)
		}
		if len(t.ColumnDefinitions) > 0 {
			names = columns(t)
		}
		rows, err := rowsOf(t, names)
		if err != nil {
			return err
		}
		for _, r := range rows {
			version = r.version
			if next.Type == watch.Bookmark {
				continue
			}
			s := r.sighting()
			s.Gone = next.Type == watch.Deleted
			if known[r.name] = true; s.Gone {
				delete(known, r.name)
			}
			see(s)
		}
		return nil
	}
	for {
		if err := c.changes(ctx, request().SetHeader("Accept", asTable), version, each); err != nil {
			return err
		}
		if err := linger.For(ctx, jitter(watchFirst)); err != nil {
			return err
		}
	}
}

func (r row) sighting() Sighting {
	return Sighting{Name: r.name, Phase: r.phase, Version: r.version, Spec: r.generation}
}

// Follow implements [Store].
func (c *Cluster) Follow(ctx context.Context, name string) iter.Seq2[v1alpha1.AgentRun, error] {
	return func(yield func(v1alpha1.AgentRun, error) bool) {
		pause := watchFirst
		for {
			r, err := c.Get(ctx, name)
			if errors.Is(err, ErrNotFound) || ctx.Err() != nil {
				yield(r, errors.Join(err, ctx.Err()))
				return
			}
			if err == nil {
				pause = watchFirst
				if !yield(r, nil) || r.Status.Phase.Final() {
					return
				}
				if c.followFrom(ctx, r, yield) {
					return
				}
			}
			if err := linger.For(ctx, jitter(pause)); err != nil {
				yield(r, err)
				return
			}
			pause = min(2*pause, watchMost)
		}
	}
}

// followFrom yields the changes of a run after r. It returns true once nothing
// more is to be yielded.
func (c *Cluster) followFrom(ctx context.Context, r v1alpha1.AgentRun, yield func(v1alpha1.AgentRun, error) bool) bool {
	done := false
	errDone := errors.New("done")
	_ = c.changes(ctx, c.client.Get().Param("fieldSelector", "metadata.name="+r.Name), r.ResourceVersion, func(next change) error {
		if next.Type == watch.Bookmark {
			return nil
		}
		now, err := decode[v1alpha1.AgentRun](next.Object)
		switch {
		case err != nil:
			return err
		case next.Type == watch.Deleted:
			done = true
			yield(now, ErrNotFound)
			return errDone
		case !yield(now, nil) || now.Status.Phase.Final():
			done = true
			return errDone
		}
		return nil
	}) // whatever ended it, the run is read anew
	return done
}

// jitter keeps replicas from asking all at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d) }
