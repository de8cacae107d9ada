package agenttrigger

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// mostKey is what the API server admits in a key, in characters.
const mostKey = 1024

// resolvedPrefix sets the keys of alerts that are over apart: that an alert
// began does not keep anybody from hearing that it ended.
const resolvedPrefix = "resolved "

// key is what repeated alerts are known by: the values of the labels in dedupe,
// or the fingerprint.
func key(a Alert, dedupe []string) string {
	var k string
	switch {
	case len(dedupe) > 0:
		values := make([]string, len(dedupe))
		for i, name := range dedupe {
			values[i] = quoted(a.Labels[name])
		}
		k = strings.Join(values, ",")
	case a.Fingerprint != "":
		k = quoted(a.Fingerprint)
	default:
		k = digest(labelled(a.Labels))
	}
	if a.Status == resolved {
		k = resolvedPrefix + k
	}
	if r := []rune(k); len(r) > mostKey {
		k = string(r[:mostKey-80]) + "… " + digest(k)
	}
	return k
}

// quoted leaves plain values as they are and quotes those by which two keys
// could look the same that are not.
func quoted(value string) string {
	for _, r := range value {
		if r == ',' || r == '"' || r == '\\' || r == ' ' || !strconv.IsPrint(r) {
			return strconv.QuoteToGraphic(value)
		}
	}
	return value
}

// labelled is all labels in one text, the same for the same labels.
func labelled(labels map[string]string) string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(labels)) {
		b.WriteString(strconv.Quote(name) + strconv.Quote(labels[name]))
	}
	return b.String()
}

// digest is 32 hexadecimal digits, short enough for a label.
func digest(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}
