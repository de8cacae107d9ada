package runs

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"
)

// newName is a name for a run of an agent that no other has.
func newName(agent string) string {
	const random = 10
	agent = strings.TrimRight(cutName(agent, 63-1-random), "-.")
	return agent + "-" + strings.ToLower(rand.Text()[:random])
}

// NameFor is the name of the run of an agent that parts stand for: the same for
// the same parts.
func NameFor(agent string, parts ...string) string {
	sum := sha256.Sum256([]byte(fmt.Sprintf("%q", parts)))
	return strings.TrimRight(cutName(agent, 63-1-20), "-.") + "-" + hex.EncodeToString(sum[:10])
}

func cutName(name string, most int) string { return name[:min(len(name), most)] }

// goodName reports whether a run can have the name, so that none leads out of
// where runs are kept.
func goodName(name string) bool { return len(validation.IsDNS1123Subdomain(name)) == 0 }

// Label is a conversation's name as a label can hold it: the name itself if it
// can be one, or else what stands for it.
func Label(id string) string {
	if len(validation.IsValidLabelValue(id)) == 0 && !strings.HasPrefix(id, "sha256-") {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256-" + hex.EncodeToString(sum[:20])
}
