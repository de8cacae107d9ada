package helm

import (
	"cmp"
	"encoding/base64"
	"regexp"
	"slices"
	"strings"
)

// hider replaces known secrets in texts by their marks.
type hider struct {
	marks map[string]string // by secret
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

func (h *hider) add(secret, mark string) {
	if h.marks == nil {
		h.marks = map[string]string{}
	}
	for _, form := range []string{secret, base64.StdEncoding.EncodeToString([]byte(secret))} {
		if len(form) >= secretBytes && h.marks[form] == "" {
			h.marks[form] = mark
		}
	}
}

// text is s with the known secrets replaced, the longest first.
func (h *hider) text(s string) string {
	var secrets []string
	for secret := range h.marks {
		secrets = append(secrets, secret)
	}
	slices.SortFunc(secrets, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	var pairs []string
	for _, secret := range secrets {
		pairs = append(pairs, secret, h.marks[secret])
	}
	return strings.NewReplacer(pairs...).Replace(s)
}
