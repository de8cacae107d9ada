package helm

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// indexTTL is how long an index is taken for current without asking.
const indexTTL = 5 * time.Minute

// index is what a chart repository says it holds, as far as tools need it.
type index struct {
	charts   map[string]*entry
	versions int
	asked    time.Time // when the repository last said that this is current
	stale    error     // why it could not be asked since
	known    http.Header
}

// entry is one chart of an index.
type entry struct {
	name, description string
	keywords          []string
	versions          []version // newest first
}

// version is one version of a chart.
type version struct {
	version, app, kube, digest string
	created                    time.Time
	deprecated                 bool
	urls                       []string
}

// indexCache keeps the index of each repository, and lets one call at a time
// fetch it.
type indexCache struct {
	mu      sync.Mutex
	indexes map[string]*cached
	parsing chan struct{} // one at a time: parsing takes many times the index's size
}

type cached struct {
	turn  chan struct{}
	index *index // nil until the first succeeds; guarded by turn
}

func newIndexCache() *indexCache {
	return &indexCache{indexes: map[string]*cached{}, parsing: make(chan struct{}, 1)}
}

// of returns the place for r's index, another one once its configuration changes.
func (c *indexCache) of(r *repository) *cached {
	key := fmt.Sprintf("%q %q %q", r.Name, r.URL, r.Username)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.indexes[key] == nil {
		c.indexes[key] = &cached{turn: make(chan struct{}, 1)}
	}
	return c.indexes[key]
}

// take waits for a turn, or takes it where it need not wait, however little time
// ctx has left.
func take(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	default:
	}
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// inTurn does something with the place of r's index while nobody else may. What
// the cache folder has to say of it is there.
func (b *Backend) inTurn(ctx context.Context, r *repository, do func(*cached) error) error {
	place := b.indexes.of(r)
	if err := take(ctx, place.turn); err != nil {
		return err
	}
	defer func() { <-place.turn }()
	if err := b.readCached(ctx, r, place); err != nil {
		return err
	}
	return do(place)
}

// index returns what r holds: as remembered while that is fresh, else as it
// says now. A repository that does not answer is spoken for by what it last
// said, with the reason in stale.
func (b *Backend) index(ctx context.Context, r *repository) (out *index, err error) {
	err = b.inTurn(ctx, r, func(place *cached) error {
		out = place.index
		if out != nil && b.now().Sub(out.asked) < indexTTL {
			return nil
		}
		_, err := b.refresh(ctx, r, place)
		if err != nil && out != nil && ctx.Err() == nil {
			old := *out
			old.stale, out = err, &old
			return nil
		}
		out = place.index
		return err
	})
	return out, err
}

// refresh asks r for its index and puts it in its place, whose turn the caller
// holds. It returns the raw index, or nil if r says that the one known is right.
func (b *Backend) refresh(ctx context.Context, r *repository, place *cached) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.DownloadTimeout)
	defer cancel()
	c, err := b.visit(r)
	if err != nil {
		return nil, err
	}
	defer c.close()
	var known http.Header
	if place.index != nil {
		known = place.index.known
	}
	address := *r.base
	address.Path, address.RawQuery = strings.TrimRight(address.Path, "/")+"/index.yaml", r.query
	answer, err := c.get(ctx, address.String(), "the index", known, indexBytes)
	if err != nil {
		return nil, err
	}
	if answer.same {
		current := *place.index
		current.asked = b.now()
		place.index = &current
		return nil, nil
	}
	fresh, err := b.parse(ctx, r, answer.data)
	if err != nil {
		return nil, err
	}
	fresh.asked, fresh.known = b.now(), validators(answer.header)
	place.index = fresh
	return answer.data, nil
}

func (b *Backend) parse(ctx context.Context, r *repository, data []byte) (*index, error) {
	if err := take(ctx, b.indexes.parsing); err != nil {
		return nil, err
	}
	defer func() { <-b.indexes.parsing }()
	fresh, err := parseIndex(data)
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		return nil, mcpkit.Errorf(known.Kind, "the index of %s cannot be read: %s", r, known.Text)
	}
	if err != nil {
		return nil, mcpkit.Errorf(mcpkit.Unavailable, "what %s sends as its index is none: %w", r, err)
	}
	return fresh, nil
}

// validators are the headers that ask for an answer only if it is another.
func validators(h http.Header) http.Header {
	out := http.Header{}
	if tag := h.Get("ETag"); tag != "" {
		out.Set("If-None-Match", tag)
	}
	if at := h.Get("Last-Modified"); at != "" {
		out.Set("If-Modified-Since", at)
	}
	return out
}

// cachedName is the file that holds r's index in the cache folder. The URL is
// part of it, lest the index of one place be taken for that of another.
func cachedName(r *repository) string {
	return fmt.Sprintf("%s-%s-index.yaml", r.Name, digestOf([]byte(r.URL))[:12])
}

// readCached takes over an index that this server's writing sibling has put
// into the cache folder since, however old: who asks next decides whether it
// will do. What cannot be read is as if it were not there.
func (b *Backend) readCached(ctx context.Context, r *repository, place *cached) error {
	if b.cfg.CacheDir == "" {
		return nil
	}
	folder, err := os.OpenRoot(b.cfg.CacheDir)
	if err != nil {
		return nil
	}
	defer folder.Close()
	info, err := folder.Stat(cachedName(r))
	if err != nil || !info.Mode().IsRegular() || info.Size() > indexBytes {
		return nil
	}
	if place.index != nil && !info.ModTime().After(place.index.asked) {
		return nil
	}
	data, err := folder.ReadFile(cachedName(r))
	if err != nil {
		return nil
	}
	fresh, err := b.parse(ctx, r, data)
	if err != nil {
		return ctx.Err()
	}
	fresh.asked = info.ModTime()
	place.index = fresh
	return nil
}

// writeCached puts an index into the cache folder.
func (b *Backend) writeCached(r *repository, raw []byte) error {
	if b.cfg.CacheDir == "" {
		return nil
	}
	err := os.MkdirAll(b.cfg.CacheDir, 0o700)
	if err == nil {
		err = b.writeInto(cachedName(r), raw)
	}
	if err != nil {
		return mcpkit.Errorf(mcpkit.Unavailable, "the index of %s was read, but the cache folder cannot be written: %w", r, err)
	}
	return nil
}

func (b *Backend) writeInto(name string, raw []byte) error {
	folder, err := os.OpenRoot(b.cfg.CacheDir)
	if err != nil {
		return err
	}
	defer folder.Close()
	return replaceFile(folder, name, raw, 0o600)
}
