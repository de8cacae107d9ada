package helm

import (
	"context"
	"fmt"

	"github.com/toolcrib/toolcrib/mcpkit"
)

// Header is what every answer about one revision begins with.
type Header struct {
	Revision    int      `json:"revision"`
	Status      string   `json:"status,omitempty"`
	Updated     string   `json:"updated,omitempty"`
	Chart       string   `json:"chart,omitempty"`
	AppVersion  string   `json:"app_version,omitempty"`
	Description string   `json:"description,omitempty" jsonschema:"what Helm said, unless it is what it always says"`
	ApplyMethod string   `json:"apply_method,omitempty" jsonschema:"ssa: written by Helm 4 with server-side apply"`
	Findings    []string `json:"findings,omitempty" jsonschema:"what is wrong"`
}

// found is one revision of a release with the records around it.
type found struct {
	*revision
	at      record
	records []record // newest first
}

// find reads a revision of a release, the newest if it is 0.
func (b *Backend) find(ctx context.Context, r Release, number int) (*found, error) {
	records, err := b.revisions(ctx, r)
	if err != nil {
		return nil, err
	}
	at, err := pick(records, number)
	if err != nil {
		return nil, err
	}
	rev, err := b.read(ctx, at)
	if err != nil {
		return nil, err
	}
	return &found{rev, at, records}, nil
}

// header says what f is, and what is wrong with the release or with its being
// an old revision.
func (b *Backend) header(f *found) Header {
	m := f.Chart.Metadata
	h := Header{
		Revision: f.at.revision, Status: string(f.at.status), Updated: stamp(f.Info.LastDeployed.Time),
		Chart: m.Name + "-" + m.Version, AppVersion: m.AppVersion,
	}
	if said := f.Info.Description; said != "Install complete" && said != "Upgrade complete" {
		h.Description = mcpkit.Cut(oneLine(said))
	}
	if f.ApplyMethod == "ssa" {
		h.ApplyMethod = f.ApplyMethod
	}
	newest := f.records[0]
	if text := newest.trouble(b.now(), wellBefore(f.records)); text != "" {
		h.Findings = append(h.Findings, text)
	}
	if newest.revision != f.at.revision {
		h.Findings = append(h.Findings, fmt.Sprintf("not the newest: that is revision %d (%s)", newest.revision, newest.status))
	}
	if m.Deprecated {
		h.Findings = append(h.Findings, "its chart is deprecated")
	}
	return h
}

// brief is the header of an answer to a question about one thing: which
// revision it is of, and what is wrong.
func (h Header) brief() Header {
	return Header{Revision: h.Revision, ApplyMethod: h.ApplyMethod, Findings: h.Findings}
}

// everything are the objects of a revision, those of its hooks apart.
func (f *found) everything() (objects, hooks []manifestObject, unreadable []string) {
	objects, unreadable = parseManifest(f.Manifest, f.at.namespace)
	for _, h := range f.Hooks {
		of, bad := parseManifest(h.Manifest, f.at.namespace)
		hooks = append(hooks, of...)
		for _, b := range bad {
			unreadable = append(unreadable, "hook "+h.Name+", "+b)
		}
	}
	return objects, hooks, unreadable
}

// hider takes the secrets of a release out of its texts, wherever they stand
// there: those of its values and of its Secrets are known.
func (f *found) hider(ctx context.Context, objects []manifestObject) *hider {
	h := new(hider)
	h.learnRelease(ctx, &f.Release, objects)
	return h
}
