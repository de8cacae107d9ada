package outcome

import (
	"errors"
	"strings"
)

// Join is all errors as one: for users, all that is wrong at once. If one of
// them is no Error, there may be more that is wrong, and that one is returned.
func Join(errs ...error) error {
	var joined *Error
	var messages []string
	for _, err := range errs {
		var e *Error
		switch {
		case err == nil:
			continue
		case !errors.As(err, &e):
			return err
		case joined == nil:
			joined = &Error{Reason: e.Reason, After: e.After}
		case e.After > 0 && (joined.After == 0 || e.After < joined.After):
			joined.After = e.After
		}
		messages = append(messages, e.Message)
	}
	if joined == nil {
		return nil
	}
	joined.Message = strings.Join(messages, "; ")
	return joined
}
