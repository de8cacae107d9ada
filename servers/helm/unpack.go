package helm

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/chart"
	packed "helm.sh/helm/v3/pkg/chart/loader"
)

// The most a chart may hold, the archives of its subcharts included.
const (
	unpackedBytes = 64 << 20
	unpackedFiles = 5000
	unpackedDepth = 8 // archives within archives
)

// unpack loads a packed chart. Helm's own loader bounds neither the number of
// files nor the archives within an archive, so they are counted first.
func unpack(ctx context.Context, archive []byte, what string) (*chart.Chart, error) {
	left := &allowance{bytes: unpackedBytes, files: unpackedFiles}
	if err := left.count(ctx, archive, 0); err != nil {
		return nil, unpackFailed(err, what)
	}
	c, err := packed.LoadArchive(bytes.NewReader(archive))
	if err != nil {
		return nil, unpackFailed(err, what)
	}
	return c, nil
}

func unpackFailed(err error, what string) error {
	if _, ok := errors.AsType[*mcpkit.Error](err); ok || errors.Is(err, context.Canceled) {
		return err
	}
	return mcpkit.Errorf(mcpkit.Invalid, "%s is no chart Helm can load: %w", what, err)
}

// allowance is what may still be unpacked.
type allowance struct {
	bytes int64
	files int
}

func (a *allowance) count(ctx context.Context, archive []byte, depth int) error {
	if depth > unpackedDepth {
		return mcpkit.Errorf(mcpkit.TooLarge, "the chart nests archives deeper than %d levels", unpackedDepth)
	}
	plain, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return err
	}
	counted := &io.LimitedReader{R: plain, N: a.bytes + 1}
	for files := tar.NewReader(counted); ; {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		header, err := files.Next()
		if a.bytes = counted.N - 1; a.bytes < 0 {
			return mcpkit.Errorf(mcpkit.TooLarge, "the chart unpacks to more than the %d MiB this server reads", unpackedBytes>>20)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if a.files--; a.files < 0 {
			return mcpkit.Errorf(mcpkit.TooLarge, "the chart has more than the %d files this server reads", unpackedFiles)
		}
		if !strings.HasSuffix(header.Name, ".tgz") || path.Base(path.Dir(strings.ReplaceAll(header.Name, `\`, "/"))) != "charts" {
			continue
		}
		inner, err := io.ReadAll(files)
		if err != nil {
			return a.orTooLarge(err, counted)
		}
		a.bytes = counted.N - 1
		if err := a.count(ctx, inner, depth+1); err != nil {
			return err
		}
		counted.N = a.bytes + 1
	}
}

// orTooLarge is err, unless the limit caused it.
func (a *allowance) orTooLarge(err error, counted *io.LimitedReader) error {
	if counted.N <= 0 {
		return mcpkit.Errorf(mcpkit.TooLarge, "the chart unpacks to more than the %d MiB this server reads", unpackedBytes>>20)
	}
	return err
}

// digestOf names what an archive holds.
func digestOf(archive []byte) string {
	sum := sha256.Sum256(archive)
	return hex.EncodeToString(sum[:])
}

// checkDigest holds an archive to the digest its repository promised, if any.
func checkDigest(archive []byte, promised, what string) error {
	want := strings.TrimPrefix(strings.ToLower(promised), "sha256:")
	if got := digestOf(archive); want != "" && len(want) == len(got) && want != got {
		return mcpkit.Errorf(mcpkit.Conflict, "%s is not what the repository's index promises: its digest is sha256:%s, not sha256:%s. The index may be older than the archive, or the archive was tampered with", what, got, want)
	}
	return nil
}

// size writes a number of bytes for a reader.
func size(n int) string {
	if n < 10<<10 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%d KiB", n>>10)
}
