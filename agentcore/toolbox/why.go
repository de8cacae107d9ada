package toolbox

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const whyBytes = 300

// rejected is the code of errors that the protocol library makes itself, of a
// request that its transport did not get through.
const rejected = -32005

// answerOf is the error that the server answered with, if it is one.
func answerOf(err error) (*jsonrpc.Error, bool) {
	var answer *jsonrpc.Error
	return answer, errors.As(err, &answer) && answer.Code != rejected
}

// lost reports whether err is that a session is no more, or was none.
func lost(err error) bool {
	if _, answered := answerOf(err); answered || err == nil {
		return false
	}
	return errors.Is(err, mcp.ErrConnectionClosed) || errors.Is(err, mcp.ErrSessionMissing) || errors.Is(err, errLost) ||
		!errors.Is(err, errElsewhere) && !errors.Is(err, errSilent)
}

// why says to people what keeps us from the server. It holds no URL and no
// credential.
func (s *server) why(err error, current *session) string {
	var r *refusal
	w, status := (*wire)(nil), 0
	if errors.As(err, &r) {
		w, status = r.wire, r.status
	} else if current != nil {
		w, status = current.wire, current.wire.answered()
	}
	if w != nil && w.ledAstray() {
		err = errElsewhere
	}
	text := plainly(err, status, s.Audience, s.timeout)
	if w != nil {
		text = w.shown(text)
	}
	return line(text, whyBytes)
}

// plainly is err in plain words, where the host answered with the status last,
// wants tokens of the audience, and had so long to answer.
func plainly(err error, status int, audience string, patience time.Duration) string {
	var dns *net.DNSError
	var dial *net.OpError
	var request *url.Error
	switch {
	case errors.Is(err, errSilent), errors.Is(err, context.DeadlineExceeded):
		return fmt.Sprintf("it does not answer within %s", patience)
	case errors.Is(err, errElsewhere):
		return errElsewhere.Error()
	case untrusted(err) != nil:
		return fmt.Sprintf("its certificate is not trusted, see spec.tls (%v)", untrusted(err))
	case errors.As(err, &dns):
		return fmt.Sprintf("its host name %s does not resolve", dns.Name)
	case errors.As(err, &dial):
		return fmt.Sprintf("it cannot be reached (%v)", dial.Err)
	}
	if answer, ok := answerOf(err); ok {
		return "it refuses: " + answer.Message
	}
	switch {
	case status == http.StatusUnauthorized && audience == "":
		return "it wants to know who calls (HTTP 401); name the audience of its tokens in annotation toolcrib.dev/audience, or send a credential with headersFrom"
	case status == http.StatusUnauthorized:
		return fmt.Sprintf("it does not take our token (HTTP 401), which is for audience %s", audience)
	case status == http.StatusTooManyRequests:
		return "it takes no more requests of ours at once (HTTP 429); try again in a while"
	case status >= 300:
		return fmt.Sprintf("it answers HTTP %d %s", status, http.StatusText(status))
	case errors.As(err, &request):
		return fmt.Sprintf("it cannot be reached (%v)", request.Err)
	}
	return err.Error()
}

// untrusted is what is wrong with a certificate, in the library's words; nil if
// nothing is.
func untrusted(err error) error {
	var authority x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verification *tls.CertificateVerificationError
	switch {
	case errors.As(err, &authority):
		return authority
	case errors.As(err, &host):
		return host
	case errors.As(err, &invalid):
		return invalid
	case errors.As(err, &verification):
		return verification.Err
	}
	return nil
}
