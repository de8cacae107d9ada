package v1alpha2

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
)

// Revision names an agent's configuration: the first ten hexadecimal digits of
// the SHA-256 of its files, given by name. Equal files have equal revisions.
func Revision(files map[string]string) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, text := range []string{name, files[name]} {
			h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(text))))
			h.Write([]byte(text))
		}
	}
	return hex.EncodeToString(h.Sum(nil))[:10]
}
