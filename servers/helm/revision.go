package helm

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// releaseBytes bounds what one record may unpack to: of what a Secret can hold
// an honest release stays far below it.
const releaseBytes = 64 << 20

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
		return nil, r.corrupt("it has no info or no chart", nil)
	}
	s.Hooks = slices.DeleteFunc(s.Hooks, func(h *release.Hook) bool { return h == nil })
	return s, nil
}

// readHead fetches what lists need of a record.
func (b *Backend) readHead(ctx context.Context, r record) (head, error) {
	var h head
	err := b.readInto(ctx, r, &h)
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
	data, there := secret.Data["release"]
	if !there || len(data) == 0 {
		return r.corrupt("it holds no release", nil)
	}
	raw, err := unpackRelease(data)
	if errors.Is(err, errTooLarge) {
		return mcpkit.Errorf(mcpkit.TooLarge, "%s cannot be read: Secret %s unpacks to more than %d MiB, which no honest release does", r, r.secret, releaseBytes>>20)
	}
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

// unpackRelease undoes how Helm packs a release: JSON, compressed except in old
// releases, in base64. It stops at releaseBytes.
func unpackRelease(data []byte) ([]byte, error) {
	packed := make([]byte, base64.StdEncoding.DecodedLen(len(data)))
	n, err := base64.StdEncoding.Decode(packed, data)
	if err != nil {
		return nil, fmt.Errorf("not base64: %w", err)
	}
	packed = packed[:n]
	if !bytes.HasPrefix(packed, []byte{0x1f, 0x8b, 0x08}) {
		return packed, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, fmt.Errorf("not gzip: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(z, releaseBytes+1))
	if err != nil {
		return nil, fmt.Errorf("not gzip: %w", err)
	}
	if len(raw) > releaseBytes {
		return nil, errTooLarge
	}
	return raw, nil
}
