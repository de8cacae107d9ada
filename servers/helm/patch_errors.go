package helm

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// patchPrefix is what Helm puts before what the API server says of a patch.
var patchPrefix = regexp.MustCompile(`^(cannot patch "[^"]*" with kind \w+|failed to replace object|failed to create resource): `)

// restored gives an error of Helm's update its kind back: of a patch that was
// refused it hands on the text alone.
func restored(err error) error {
	var status apierrors.APIStatus
	if err == nil || errors.As(err, &status) {
		return err
	}
	text := patchPrefix.ReplaceAllString(err.Error(), "")
	s := metav1.Status{Status: metav1.StatusFailure, Message: text}
	switch {
	case strings.Contains(text, " is forbidden: "):
		s.Reason, s.Code = metav1.StatusReasonForbidden, http.StatusForbidden
	case strings.Contains(text, " is invalid: "):
		s.Reason, s.Code = metav1.StatusReasonInvalid, http.StatusUnprocessableEntity
	default:
		return err
	}
	return &apierrors.StatusError{ErrStatus: s}
}
