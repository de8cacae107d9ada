package locks

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/mcpkit"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
)

// Labels by which approvals are found again. They only find: what an approval
// is good for, its spec says.
const (
	requestLabel  = "toolcrib.dev/request" // one call, whatever its plan: the same server, caller, tool and arguments
	callerLabel   = "toolcrib.dev/caller"
	hourLabel     = "toolcrib.dev/expires" // the hour, in UTC, so that what has expired long ago is not even listed
	keyAnnotation = "toolcrib.dev/key"     // of the hashes
)

// request names the call of r as a label can.
func request(r mcpkit.ApprovalRequest) string {
	return short(strings.Join([]string{r.Server, r.Caller, r.Tool, r.ArgumentsHash}, "\x00"))
}

// short stands for s in a label.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:16])
}

func hour(t time.Time) string { return t.UTC().Format("2006-01-02T15") }

// live selects the approvals with a label that may not have expired, or have
// just now. The hour more is for servers whose clocks go ahead.
func (t *attempt) live(label, value string) string {
	var hours []string
	for h := t.clock.Now().Add(-time.Hour); !h.After(t.r.Expires.Add(time.Hour)); h = h.Add(time.Hour) {
		hours = append(hours, hour(h))
	}
	return fmt.Sprintf("%s=%s,%s in (%s)", label, value, hourLabel, strings.Join(hours, ","))
}

// Bounds of what is listed: of one answer of the API server, of all, and of how
// often one that breaks off is asked for again, a second later each time.
const (
	pageRetries     = 1
	pageOfApprovals = 50
	pageOfNames     = 500
	maxListed       = 5000
)

// listed are the approvals that selector selects.
func (c *cluster) listed(ctx context.Context, selector string) ([]v1alpha1.Approval, error) {
	var all []v1alpha1.Approval
	for next := ""; ; {
		var page v1alpha1.ApprovalList
		if err := c.page(selector, pageOfApprovals, next).Do(ctx).Into(&page); err != nil {
			return nil, err
		}
		all = append(all, page.Items...)
		if next = page.Continue; next == "" {
			return all, nil
		}
		if len(all) >= maxListed {
			return nil, errTooManyKept
		}
	}
}

// number is one that no approval of the call has, however old. All who look at
// the same time find the same.
func (t *attempt) number(ctx context.Context) (int, error) {
	most, listed := 0, 0
	for next := ""; ; {
		var page metav1.PartialObjectMetadataList
		err := t.page(requestLabel+"="+request(t.r), pageOfNames, next).
			SetHeader("Accept", "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1").Do(ctx).Into(&page)
		if err != nil {
			return 0, err
		}
		for _, a := range page.Items {
			if n, err := strconv.Atoi(a.Name[strings.LastIndex(a.Name, "-")+1:]); err == nil {
				most = max(most, n)
			}
		}
		listed += len(page.Items)
		if next = page.Continue; next == "" {
			return most + 1, nil
		}
		if listed >= maxListed {
			return 0, errTooManyKept
		}
	}
}

var errTooManyKept = mcpkit.Errorf(mcpkit.Unavailable, "more than %d approvals of this caller are kept, so that a new one cannot be told from them. Nothing was changed; somebody who runs the cluster must delete old approvals", maxListed)

// errMoved is what to return when another request has got in the way.
var errMoved = mcpkit.Errorf(mcpkit.Conflict, "too many calls ask for the same approval at once. Nothing was changed; try again in a few seconds")

// moved reports whether another request got in the way, or may have: then it
// helps to look again.
func moved(err error) bool {
	return errors.Is(err, errMoved) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || uncertain(err)
}

// uncertain reports whether a write that failed may have been done all the same.
func uncertain(err error) bool {
	if _, known := errors.AsType[*mcpkit.Error](err); known {
		return false
	}
	var status apierrors.APIStatus
	return !errors.As(err, &status) || status.Status().Code >= http.StatusInternalServerError
}

// refused says what kept a call from its approval, and what to do. tried is the
// name of an approval that may be used up.
func (l *Locks) refused(err error, tried string) error {
	if known, ok := errors.AsType[*mcpkit.Error](err); ok {
		return known
	}
	switch {
	case errors.Is(err, context.Canceled) && tried == "":
		return err
	case apierrors.IsNotFound(err):
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the cluster keeps no approvals in namespace %s. Nothing was changed. Tell whoever runs it: the type approvals.toolcrib.dev comes with charts/locks, and the namespace must exist", l.namespace)
	case apierrors.IsForbidden(err), apierrors.IsUnauthorized(err):
		return mcpkit.Wrap(mcpkit.Denied, err, "this server may not keep approvals in namespace %s. Nothing was changed. Tell whoever runs it: it needs list and create on approvals.toolcrib.dev, update on approvals.toolcrib.dev/status, and the verb consume on approvals.toolcrib.dev, which its chart grants; the server log has the API server's words", l.namespace)
	case apierrors.IsInvalid(err), apierrors.IsBadRequest(err), apierrors.IsRequestEntityTooLargeError(err):
		return mcpkit.Wrap(mcpkit.Invalid, err, "the API server does not take the approval that this write needs. Nothing was changed. It says: %s", said(err))
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return mcpkit.Wrap(mcpkit.Conflict, err, "%s", errMoved.Text)
	case tried != "":
		return mcpkit.Wrap(mcpkit.Unavailable, err, "the API server broke off while approval %s/%s was being used up, so whether it is used up is not known. Nothing was changed. Call again with the same arguments: if it is used up, a person must approve again", l.namespace, tried)
	}
	return mcpkit.Wrap(mcpkit.Unavailable, err, "cannot look for an approval: the API server that keeps them does not answer. Nothing was changed; try again in a few seconds")
}

// said is the beginning of what the API server says of an error.
func said(err error) string {
	text := err.Error()
	const most = 400
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// page asks for a part of the approvals that selector selects.
func (c *cluster) page(selector string, limit int, next string) *rest.Request {
	return c.approvals.Get().Namespace(c.namespace).Resource("approvals").MaxRetries(pageRetries).
		Param("labelSelector", selector).Param("limit", strconv.Itoa(limit)).Param("continue", next)
}
