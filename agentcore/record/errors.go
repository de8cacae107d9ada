package record

import "errors"

// Errors of [Log.Append].
var (
	ErrLost = errors.New("the run is no longer this process's to work on")
	ErrFull = errors.New("the record of this run is full")
)
