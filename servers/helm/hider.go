package helm

import (
	"cmp"
	"context"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	"helm.sh/helm/v3/pkg/release"
)

// hider replaces known secrets in texts by their marks.
type hider struct {
	marks    map[string]string // by secret
	replacer *strings.Replacer // of all marks; nil until it is needed
}

// secretBytes is how long a secret must be to be looked for: a shorter one
// would be found in other words.
const secretBytes = 6

var wholeMark = regexp.MustCompile(`^redacted:[0-9a-f]{8}$`)

// learn notes which values of raw became marks in shown.
func (h *hider) learn(raw, shown any) {
	switch raw := raw.(type) {
	case map[string]any:
		m, _ := shown.(map[string]any)
		for k, v := range raw {
			h.learn(v, m[k])
		}
	case []any:
		l, _ := shown.([]any)
		for i, v := range raw {
			if i < len(l) {
				h.learn(v, l[i])
			}
		}
	case string:
		mark, _ := shown.(string)
		if wholeMark.MatchString(mark) {
			h.add(raw, mark)
			if plain, err := base64.StdEncoding.DecodeString(raw); err == nil {
				h.add(string(plain), mark)
			}
		}
	}
}

// learnRelease notes the secrets of a release: those among its values, and those
// in its Secrets among objects.
func (h *hider) learnRelease(ctx context.Context, r *release.Release, objects []manifestObject) {
	for _, values := range []map[string]any{r.Chart.Values, r.Config} {
		h.learn(values, map[string]any(mcpkit.Redact(ctx, values)))
	}
	for _, o := range objects {
		if o.GetKind() == "Secret" {
			h.learn(o.Object, map[string]any(mcpkit.Redact(ctx, o.Object)))
		}
	}
}

func (h *hider) add(secret, mark string) {
	if h.marks == nil {
		h.marks = map[string]string{}
	}
	for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
		if len(form) >= secretBytes && h.marks[form] == "" {
			h.marks[form], h.replacer = mark, nil
		}
	}
}

// lines are texts with the known secrets replaced.
func (h *hider) lines(texts []string) []string {
	out := make([]string, len(texts))
	for i, s := range texts {
		out[i] = h.text(s)
	}
	return out
}

// text is s with the known secrets replaced, the longest first.
func (h *hider) text(s string) string {
	if h.replacer == nil {
		h.replacer = h.newReplacer()
	}
	return h.replacer.Replace(s)
}

func (h *hider) newReplacer() *strings.Replacer {
	var secrets []string
	for secret := range h.marks {
		secrets = append(secrets, secret)
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, secret := range secrets {
		pairs = append(pairs, secret, h.marks[secret])
	}
	return strings.NewReplacer(pairs...)
}
