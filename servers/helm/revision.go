package helm

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Bounds of what one record may unpack to.
const (
	releaseBytes = 32 << 20 // of what a Secret can hold an honest release stays far below it
	largeBytes   = 2 << 20  // larger ones are read one at a time
)

// revision is one revision with all that Helm keeps of it.
type revision struct {
	release.Release
	ApplyMethod string `json:"apply_method"` // Helm 4: csa or ssa
}

// head is the part of a revision that lists need.
type head struct {
	Info struct {
		release.Info
		Notes     skipped `json:"notes"`
		Resources skipped `json:"resources"`
	} `json:"info"`
	Chart struct {
		Metadata struct {
			Name       string `json:"name"`
			Version    string `json:"version"`
			AppVersion string `json:"appVersion"`
		} `json:"metadata"`
	} `json:"chart"`
}

// skipped is what is not kept of a document.
type skipped struct{}

// UnmarshalJSON takes anything.
func (*skipped) UnmarshalJSON([]byte) error { return nil }

// chart is the chart's name and version as Helm writes it.
func (h head) chart() string {
	m := h.Chart.Metadata
	if m.Name == "" {
		return ""
	}
	return m.Name + "-" + m.Version
}

// read fetches the whole of a record.
func (b *Backend) read(ctx context.Context, r record) (*revision, error) {
	s := new(revision)
	if err := b.readInto(ctx, r, s); err != nil {
		return nil, err
	}
	if s.Info == nil || s.Chart == nil || s.Chart.Metadata == nil {
		return nil, r.corrupt(hollow, nil)
	}
	s.Hooks = slices.DeleteFunc(s.Hooks, func(h *release.Hook) bool { return h == nil })
	s.Chart.Templates = slices.DeleteFunc(s.Chart.Templates, func(f *chart.File) bool { return f == nil })
	return s, nil
}

// hollow is what is wrong with a record that is JSON and no release.
const hollow = "it has no info or no chart"

// readHead fetches what lists need of a record.
func (b *Backend) readHead(ctx context.Context, r record) (head, error) {
	var h head
	err := b.readInto(ctx, r, &h)
	if err == nil && h.Chart.Metadata.Name == "" {
		err = r.corrupt(hollow, nil)
	}
	return h, err
}

func (b *Backend) readInto(ctx context.Context, r record, into any) error {
	c, err := b.open()
	if err != nil {
		return err
	}
	secret, err := c.typed.CoreV1().Secrets(r.namespace).Get(ctx, r.secret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return mcpkit.Errorf(mcpkit.Conflict, "%s is gone since it was listed: an upgrade or an uninstall runs. Look again", r)
	}
	if err != nil {
		return translate(err, "read "+r.String())
	}
	p, err := r.open(secret.Data["release"])
	if err != nil {
		return err
	}
	if p.size > largeBytes {
		if err := take(ctx, b.large); err != nil {
			return err
		}
		defer func() { <-b.large }()
	}
	return r.decode(p, into)
}

// open looks at what a record holds, without unpacking it.
func (r record) open(data []byte) (parcel, error) {
	if len(data) == 0 {
		return parcel{}, r.corrupt("it holds no release", nil)
	}
	p, err := openParcel(data)
	if errors.Is(err, errTooLarge) {
		return parcel{}, mcpkit.Errorf(mcpkit.TooLarge, "%s cannot be read: Secret %s unpacks to more than %d MiB, which no honest release does", r, r.secret, releaseBytes>>20)
	}
	if err != nil {
		return parcel{}, r.corrupt(err.Error(), err)
	}
	return p, nil
}

// decode unpacks a record.
func (r record) decode(p parcel, into any) error {
	raw, err := p.unpack()
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		return r.corrupt(err.Error(), err)
	}
	return nil
}

// corrupt says that a record cannot be read, and what to do.
func (r record) corrupt(why string, err error) error {
	text := fmt.Sprintf("%s cannot be read: Secret %s is corrupt (%s). Helm cannot read it either; other revisions may be whole (helm_get_history), and a person may restore the Secret from a backup or delete it", r, r.secret, short(why))
	return &mcpkit.Error{Kind: mcpkit.Conflict, Text: text, Err: err}
}

var errTooLarge = errors.New("too large")

// parcel is a release as Helm stores it: JSON, compressed except in old releases.
type parcel struct {
	data []byte
	size int64 // of the JSON, as the parcel says
	gzip bool
}

// openParcel undoes the base64 around a release.
func openParcel(data []byte) (parcel, error) {
	packed := make([]byte, base64.StdEncoding.DecodedLen(len(data)))
	n, err := base64.StdEncoding.Decode(packed, data)
	if err != nil {
		return parcel{}, fmt.Errorf("not base64: %w", err)
	}
	p := parcel{data: packed[:n], size: int64(n)}
	if bytes.HasPrefix(p.data, []byte{0x1f, 0x8b, 0x08}) {
		if _, err := gzip.NewReader(bytes.NewReader(p.data)); err != nil {
			return parcel{}, fmt.Errorf("not gzip: %w", err)
		}
		p.gzip, p.size = true, int64(binary.LittleEndian.Uint32(p.data[n-4:])) // RFC 1952, ISIZE
	}
	if p.size > releaseBytes {
		return parcel{}, errTooLarge
	}
	return p, nil
}

// unpack returns the JSON. It unpacks no more than the parcel says it holds.
func (p parcel) unpack() ([]byte, error) {
	if !p.gzip {
		return p.data, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(p.data))
	if err != nil {
		return nil, fmt.Errorf("not gzip: %w", err)
	}
	raw := bytes.NewBuffer(make([]byte, 0, p.size+bytes.MinRead))
	if _, err := raw.ReadFrom(io.LimitReader(z, p.size+1)); err != nil {
		return nil, fmt.Errorf("not gzip: %w", err)
	}
	if int64(raw.Len()) > p.size {
		return nil, errors.New("not gzip: longer than it says")
	}
	return raw.Bytes(), nil
}
