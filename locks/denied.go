package locks

import (
	"cmp"
	"context"
	"regexp"
	"strconv"
	"strings"

	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
)

// refusedUser is how the API server words what an authorizer has refused.
var refusedUser = regexp.MustCompile(`User ("(?:[^"\\]|\\.)*") cannot `)

// Refused reports whether a Forbidden of the API server was an authorizer's, and
// not that of an admission policy or a quota.
func Refused(err error) bool { return refusedUser.MatchString(err.Error()) }

// Denied says whom the API server did not let do something, such as "list pods
// in namespace shop", and why. err is its Forbidden, reason what it says.
func Denied(err error, doing, reason string) *mcpkit.Error {
	found := refusedUser.FindStringSubmatch(err.Error())
	if found == nil {
		return mcpkit.Wrap(mcpkit.Denied, err, "the cluster's own rules refuse to %s: %s", doing, reason)
	}
	who, _ := strconv.Unquote(found[1]) // the pattern is that of a quoted text
	if strings.Contains(err.Error(), found[0]+"impersonate") {
		return mcpkit.Wrap(mcpkit.Denied, err, "this server may not act as its caller to %s: %s. Whoever runs it must grant it that (its command rbac --identity=caller prints the rules); do not look for a way around", doing, reason)
	}
	return mcpkit.Wrap(mcpkit.Denied, err, "%s may not %s: %s. A person must grant it; do not look for a way around", who, doing, reason)
}

// Told returns err, or, where it is a refusedUser whose words the client for
// discovery has lost, what the API server says to a plain request.
func Told(ctx context.Context, c rest.Interface, err error) error {
	if !apierrors.IsForbidden(err) || Refused(err) {
		return err
	}
	return cmp.Or(c.Get().AbsPath("/apis").Do(ctx).Error(), err)
}
