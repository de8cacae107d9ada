package model

import (
	"fmt"
	"net/http"
)

// failure is an error of the API, before a wire gives it its form.
type failure struct {
	status     int
	kind       string // the wire's word for it; by the status if empty
	code       string // OpenAI alone
	param      string // OpenAI alone
	message    string
	retryAfter string
	rule       string // that wanted it
}

func invalid(message string) *failure {
	return &failure{status: http.StatusBadRequest, message: message}
}

// complaint is an error in an API's own words, capitals and full stops included.
type complaint string

// Error implements error.
func (c complaint) Error() string { return string(c) }

func complain(format string, args ...any) error { return complaint(fmt.Sprintf(format, args...)) }

// of makes the failure that a scenario wants.
func (f *Fail) of() *failure {
	message := f.Message
	if message == "" {
		message = map[int]string{
			http.StatusTooManyRequests: "Number of requests has exceeded your rate limit. Please try again later.",
			529:                        "Overloaded",
		}[f.Status]
	}
	if message == "" {
		message = "The server had an error while processing your request. Sorry about that!"
	}
	return &failure{status: f.Status, message: message, retryAfter: f.RetryAfter}
}
