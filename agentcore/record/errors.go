package record

import "errors"

// Errors of [Log.Append].
var (
	ErrLost = errors.New("another process has taken this run over")
	ErrFull = errors.New("the record of this run is full")
)
