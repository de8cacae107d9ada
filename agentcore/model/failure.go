package model

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// failureOf says what is wrong with a try; nil if nothing is.
func failureOf(ctx context.Context, err error) *Error {
	var known *Error
	var certificate *tls.CertificateVerificationError
	cause := context.Cause(ctx)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case cause == errSilent, cause == errSlow:
		return &Error{Kind: Unavailable, Text: cause.Error(), Err: cause, again: true}
	case errors.As(err, &certificate):
		return &Error{Kind: Unavailable, Text: "its certificate is not trusted: " + certificate.Err.Error() + "; name the authority's certificate in tls.caCertSecretRef of the ModelConfig", Err: certificate}
	case errors.Is(err, http.ErrSchemeMismatch):
		return &Error{Kind: Unavailable, Text: "it does not speak TLS: the URL begins with https and should begin with http, or the port is another", Err: http.ErrSchemeMismatch}
	}
	err = withoutURL(err)
	return &Error{Kind: Unavailable, Text: "the connection broke: " + err.Error(), Err: err, again: true}
}

// withoutURL drops the URL, whose query may hold what nobody should read.
func withoutURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// broken is a stream that ended, or went on, as no answer does.
func broken(text string) *Error { return &Error{Kind: Unavailable, Text: text, again: true} }

// objection is what a provider says is wrong, whichever form it chose.
type objection struct {
	kind, code, param, message string
	delay                      time.Duration
}

// refusal reads the answer of a provider that refused, or that is no stream.
func refusal(status int, header http.Header, text []byte) *Error {
	if status < 400 {
		if o, ok := readObjection(text); ok && o.message != "" {
			return o.judge(status)
		}
		return &Error{Kind: Invalid, Status: status, Text: "what answered is no model's API, or it cannot stream: give the ModelConfig the URL of one; it said: " + plain(text)}
	}
	o, ok := readObjection(text)
	if !ok || o.message == "" {
		o.message = plain(text)
	}
	f := o.judge(status)
	if d, ok := retryAfter(header); ok {
		f.RetryAfter = d
	}
	switch header.Get("X-Should-Retry") {
	case "true":
		f.again = true
	case "false":
		f.again = false
	}
	return f
}

// readObjection understands the forms of Anthropic, OpenAI, Google, vLLM, Ollama
// and plain {"error": "text"} and {"detail": "text"}.
func readObjection(text []byte) (objection, bool) {
	var list []json.RawMessage
	if json.Unmarshal(text, &list) == nil && len(list) > 0 { // Google's
		text = list[0]
	}
	var outer struct {
		Error, Detail, Message, Type, Code json.RawMessage
	}
	if json.Unmarshal(text, &outer) != nil {
		return objection{}, false
	}
	if said := word(outer.Error); said != "" || len(outer.Error) == 0 {
		return objection{kind: word(outer.Type), code: word(outer.Code), message: cmp.Or(said, word(outer.Message), word(outer.Detail), raw(outer.Detail))}, true
	}
	var inner struct {
		Type, Code, Status, Param, Message json.RawMessage
		Details                            []struct{ RetryDelay string }
	}
	if json.Unmarshal(outer.Error, &inner) != nil {
		return objection{}, false
	}
	o := objection{kind: cmp.Or(word(inner.Type), word(inner.Status)), code: word(inner.Code), param: word(inner.Param), message: word(inner.Message)}
	for _, d := range inner.Details {
		if wait, err := time.ParseDuration(d.RetryDelay); err == nil && wait > 0 {
			o.delay = wait
		}
	}
	return o, true
}

// word is a JSON string's or number's text.
func word(v json.RawMessage) string {
	var text string
	if json.Unmarshal(v, &text) == nil {
		return text
	}
	var n json.Number
	if json.Unmarshal(v, &n) == nil {
		return n.String()
	}
	return ""
}

func raw(v json.RawMessage) string {
	if string(v) == "null" {
		return ""
	}
	return string(v)
}

// tooLong are the words providers have for a conversation that does not fit.
var tooLong = regexp.MustCompile(`(?i)prompt is too long|context[_ ](length|window|size|limit)|maximum context|input is too long|input token count|too many (input |total )?tokens|request too large|request_too_large|exceed_context_size`)

// outOfMoney are codes of limits that no waiting lifts.
var outOfMoney = regexp.MustCompile(`insufficient_quota|billing_(hard_limit|not_active|error)`)

// statusOf are the statuses that errors within a stream stand for, by kind.
var statusOf = map[string]int{
	"invalid_request_error": 400, "authentication_error": 401, "permission_error": 403, "not_found_error": 404, "request_too_large": 413,
	"rate_limit_error": 429, "requests": 429, "tokens": 429, "api_error": 500, "server_error": 500, "timeout_error": 504, "overloaded_error": 529,
	"INVALID_ARGUMENT": 400, "UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500, "UNAVAILABLE": 503,
}

// judge decides what a refusal means. status is 200 if it came within a stream.
func (o objection) judge(status int) *Error {
	e := &Error{Status: status, Text: o.message, RetryAfter: o.delay}
	if status < 400 {
		n, _ := strconv.Atoi(o.code)
		if status = cmp.Or(statusOf[o.kind], n); status < 400 || status > 599 {
			status = http.StatusInternalServerError
		}
		e.Status = status
	}
	again := false
	switch {
	case tooLong.MatchString(o.code+" "+o.kind+" "+o.message) && (status == 400 || status == 413 || status == 422 || status == 429), status == http.StatusRequestEntityTooLarge:
		e.Kind = TooLong
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusPaymentRequired:
		e.Kind = Unauthorized
	case status == http.StatusTooManyRequests:
		e.Kind, again = RateLimited, !outOfMoney.MatchString(o.code+" "+o.kind)
	case status == http.StatusRequestTimeout, status == http.StatusConflict, status >= 500:
		e.Kind, again = Unavailable, status != http.StatusNotImplemented
	default:
		e.Kind = Invalid
	}
	if e.Text == "" {
		e.Text = cmp.Or(http.StatusText(status), "no reason was given")
	}
	e.again = again
	return e
}

// retryAfter is how long the provider asks to be left alone.
func retryAfter(h http.Header) (time.Duration, bool) {
	for _, form := range []struct {
		name string
		unit time.Duration
	}{{"Retry-After-Ms", time.Millisecond}, {"Retry-After", time.Second}} {
		text := h.Get(form.name)
		if n, err := strconv.ParseFloat(text, 64); err == nil && n >= 0 && n < 1e6 {
			return time.Duration(n * float64(form.unit)), true
		}
		if at, err := http.ParseTime(text); err == nil {
			return max(time.Until(at), 0), true
		}
	}
	return 0, false
}

// plain is a text that is not JSON, such as a proxy's page, without its tags.
func plain(text []byte) string {
	return strings.Join(strings.Fields(tags.ReplaceAllString(string(text), " ")), " ")
}

var tags = regexp.MustCompile(`(?s)<(style|script).*?</(style|script)>|<[^>]*>`)

// longestText is how much of a provider's words an error repeats, in bytes.
const longestText = 1024

// presentable is a provider's text as people can read it: on one line, bounded,
// without what cannot be seen, and without the key or anything like one.
func (c *client) presentable(text, key string) string {
	if len(key) >= 4 {
		text = strings.ReplaceAll(text, key, "[key]")
	}
	text = strings.Join(strings.Fields(c.redactor.Text(text)), " ")
	if len(text) > longestText {
		cut := longestText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}
