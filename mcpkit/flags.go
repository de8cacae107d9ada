package mcpkit

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// flags are the command line every server has.
type flags struct {
	access string
	gate   string

	http           string
	auth           string
	insecureNoAuth bool
	identity       Identity
	locks          LocksConfig
	oidc           OIDCConfig
	oidcScopes     []string
	resourceURL    string
	allowedHosts   []string
	allowedOrigins []string
	metrics        string

	maxResultBytes  int
	maxRequestBytes int64
	maxCalls        int
	callerRate      float64
	callerCalls     int
	callTimeout     time.Duration
	sessionTimeout  time.Duration
	shutdownDelay   time.Duration
	shutdownTimeout time.Duration

	keyFile   string
	record    string
	logLevel  string
	logFormat string
}

func (f *flags) add(fs *pflag.FlagSet) {
	fs.StringVar(&f.access, "access", string(AccessRead), "which tools exist: `read`, write, or all (for your own use over stdio)")
	fs.StringVar(&f.gate, "gate", "", "who decides about each write: `approval`, a person by an Approval object in the cluster (default over --http); ask, the person at the client (default otherwise); or off, nobody")

	fs.StringVar(&f.http, "http", "", "serve streamable HTTP at /mcp on this `host:port` instead of stdin and stdout")
	fs.StringVar(&f.auth, "auth", "", "how callers over --http are authenticated: `kubernetes`, by TokenReview (default in a cluster); oidc, by the tokens of an OpenID Connect issuer; or none, which is for loopback addresses (default otherwise)")
	fs.BoolVar(&f.insecureNoAuth, "insecure-no-auth", false, "allow --auth=none on any address: everyone who can reach it can call every tool")
	fs.StringVar(&f.locks.Audience, "audience", "", "`audience` that tokens must be issued for; the program's name if absent, or with --auth=oidc --resource-url")
	fs.StringVar(&f.locks.Namespace, "locks-namespace", "", "`namespace` in which callers are granted tools and approvals are kept; the one this server runs in if absent")
	fs.StringVar(&f.locks.Kubeconfig, "locks-kubeconfig", "", "kubeconfig `file` of the cluster that knows callers and approvals; KUBECONFIG, or the cluster this server runs in, if absent")
	f.addOIDC(fs)
	fs.StringSliceVar(&f.allowedHosts, "allowed-hosts", nil, "`names` clients may reach --http under besides loopback ones; * for any")
	fs.StringSliceVar(&f.allowedOrigins, "allowed-origins", nil, "`origins` of web pages that may call, such as https://inspector.example.com")
	fs.StringVar(&f.metrics, "metrics", "", "serve Prometheus metrics on this `host:port`; with --http a free loopback port if absent")

	fs.IntVar(&f.maxResultBytes, "max-result-bytes", DefaultMaxResultBytes, "largest answer, text and structured result together, in `bytes`")
	fs.Int64Var(&f.maxRequestBytes, "max-request-bytes", DefaultMaxRequestBytes, "largest request over --http, in `bytes`")
	fs.IntVar(&f.maxCalls, "max-calls", DefaultMaxCalls, "calls at once; more wait their turn")
	fs.Float64Var(&f.callerRate, "caller-rate", DefaultCallerRate, "`calls` a second that one authenticated caller may make, lists of tools included, and twice as many in a burst; more are refused")
	fs.IntVar(&f.callerCalls, "caller-calls", 0, "calls at once by one authenticated caller; more are refused; half of --max-calls if absent")
	fs.DurationVar(&f.callTimeout, "call-timeout", 0, "longest a call may take, waiting for a person apart; 1m if absent, more for tools that wait for the backend")
	fs.DurationVar(&f.sessionTimeout, "session-timeout", DefaultSessionTimeout, "how long a session of an older client may be idle")
	fs.DurationVar(&f.shutdownDelay, "shutdown-delay", 0, "how long a server over --http that is told to stop goes on taking calls while it reports itself not ready, so that a load balancer in front of it can look away")
	fs.DurationVar(&f.shutdownTimeout, "shutdown-timeout", DefaultShutdownTimeout, "how long calls in flight may go on once the server is told to stop")

	fs.StringVar(&f.keyFile, "key-file", "", "`file` with the secret that signs questions and salts fingerprints; the same for all replicas, random if absent")
	fs.StringVar(&f.record, "record", "stderr", "`file` that gets one JSON line per call, or stderr")
	fs.StringVar(&f.logLevel, "log-level", "info", "debug, `info`, warn or error")
	fs.StringVar(&f.logFormat, "log-format", "text", "`text` or json, on stderr")
}

// options checks the flags and turns them into a server's options. The
// returned function closes what was opened.
func (f *flags) options(std streams) (Options, func(), error) {
	nothing := func() {}
	if err := f.check(); err != nil {
		return Options{}, nothing, err
	}
	logger, err := f.logger(std.errs)
	if err != nil {
		return Options{}, nothing, err
	}
	key, err := f.key()
	if err != nil {
		return Options{}, nothing, err
	}
	record, closeRecord, err := f.openRecord(std)
	if err != nil {
		return Options{}, nothing, err
	}
	return Options{
		Access:         Access(f.access),
		Gate:           GateMode(f.gate),
		MaxResultBytes: f.maxResultBytes,
		CallTimeout:    f.callTimeout,
		MaxCalls:       f.maxCalls,
		CallerRate:     f.callerRate,
		CallerCalls:    f.callerCalls,
		Key:            key,
		Record:         record,
		Logger:         logger,
	}, closeRecord, nil
}

// How callers are authenticated.
const (
	authNone       = "none"
	authKubernetes = "kubernetes"
	authOIDC       = "oidc"
)

// settle gives the flags whose default depends on others their values.
func (f *flags) settle(given func(flag string) bool, locks, inCluster bool) {
	if !given("auth") {
		f.auth = authNone
		if locks && inCluster && f.http != "" {
			f.auth = authKubernetes
		}
	}
	if !given("gate") {
		f.gate = string(GateAsk)
		if locks && f.http != "" {
			f.gate = string(GateApproval)
		}
	}
}

// check refuses values that cannot work, and what is unsafe without being
// asked for in full.
func (f *flags) check() error {
	if err := checkAccess(f.access, AccessRead, AccessWrite, AccessAll); err != nil {
		return err
	}
	if err := f.identity.check(); err != nil {
		return err
	}
	switch {
	case !slices.Contains([]string{string(GateAsk), string(GateApproval), string(GateOff)}, f.gate):
		return usagef("--gate=%s is not known; write ask, approval or off", f.gate)
	case !slices.Contains([]string{authNone, authKubernetes, authOIDC}, f.auth):
		return usagef("--auth=%s is not known; write kubernetes, oidc or none", f.auth)
	case f.http == "" && f.auth != authNone:
		return usagef("--auth=%s needs --http: over stdin and stdout there is one caller, who started the server", f.auth)
	case f.identity == IdentityCaller && f.auth == authNone:
		return usagef("--identity=caller needs callers that prove who they are; add --http and --auth=kubernetes, or write --identity=server")
	case f.maxResultBytes < minResultBytes:
		return usagef("--max-result-bytes=%d is too small for an answer; write at least %d", f.maxResultBytes, minResultBytes)
	case f.maxRequestBytes < 1:
		return usagef("--max-request-bytes=%d must be positive", f.maxRequestBytes)
	case f.maxCalls < 1:
		return usagef("--max-calls=%d must be positive", f.maxCalls)
	case !(f.callerRate > 0 && f.callerRate <= maxCallerRate):
		return usagef("--caller-rate=%g is no rate; write calls a second, such as %d", f.callerRate, DefaultCallerRate)
	case f.callerCalls < 0:
		return usagef("--caller-calls=%d must be positive", f.callerCalls)
	case f.callTimeout < 0 || f.sessionTimeout <= 0 || f.shutdownTimeout <= 0:
		return usagef("--call-timeout, --session-timeout and --shutdown-timeout must be positive, such as 30s")
	case f.shutdownDelay < 0:
		return usagef("--shutdown-delay=%s must not be negative", f.shutdownDelay)
	}
	if err := f.checkOIDC(); err != nil {
		return err
	}
	return f.checkHTTP()
}

func (f *flags) checkHTTP() error {
	if f.http == "" {
		if f.metrics != "" {
			return usagef("--metrics=%s needs --http: over stdin and stdout no port is opened", f.metrics)
		}
		return nil
	}
	host, _, err := net.SplitHostPort(f.http)
	if err != nil {
		return usagef("--http=%s is not host:port, such as 127.0.0.1:8080", f.http)
	}
	if !isLoopback(host) {
		if f.auth == authNone && !f.insecureNoAuth {
			return usagef("--http=%s can be reached from other machines and --auth=none lets every caller in; say --auth=kubernetes, use a loopback address such as 127.0.0.1:8080, or say --insecure-no-auth", f.http)
		}
		if len(f.allowedHosts) == 0 {
			return usagef("--http=%s needs --allowed-hosts: the names clients use for it, such as tools.example.com, or * for any", f.http)
		}
	}
	return nil
}

func checkAccess(value string, known ...Access) error {
	var names []string
	for _, a := range known {
		if value == string(a) {
			return nil
		}
		names = append(names, string(a))
	}
	return usagef("--access=%s is not known; write one of %s", value, strings.Join(names, ", "))
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

func (f *flags) logger(w io.Writer) (*slog.Logger, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(f.logLevel)); err != nil {
		return nil, usagef("--log-level=%s is not known; write debug, info, warn or error", f.logLevel)
	}
	o := &slog.HandlerOptions{Level: level}
	switch f.logFormat {
	case "text":
		return slog.New(slog.NewTextHandler(w, o)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, o)), nil
	}
	return nil, usagef("--log-format=%s is not known; write text or json", f.logFormat)
}

// key reads the secret that replicas share.
func (f *flags) key() ([]byte, error) {
	if f.keyFile == "" {
		return nil, nil
	}
	b, err := os.ReadFile(f.keyFile)
	if err != nil {
		return nil, usagef("--key-file: %w", err)
	}
	if b = bytes.TrimSpace(b); len(b) < minKeyBytes {
		return nil, usagef("--key-file=%s holds %d bytes; a secret needs at least %d", f.keyFile, len(b), minKeyBytes)
	}
	return b, nil
}

// openRecord opens the ledger for appending. Standard output is never one: it
// may carry the protocol.
func (f *flags) openRecord(std streams) (io.Writer, func(), error) {
	if f.record == "stderr" {
		return std.errs, func() {}, nil
	}
	if f.record == "" || f.record == "-" || f.record == "stdout" {
		return nil, nil, usagef("--record=%s: the record goes to stderr or to a file, never to standard output", f.record)
	}
	file, err := os.OpenFile(f.record, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, usagef("--record: %w", err)
	}
	if isStdout(file, std.out) {
		file.Close()
		return nil, nil, usagef("--record=%s is standard output; write stderr or a file of its own", f.record)
	}
	return file, func() { file.Close() }, nil
}

// isStdout reports whether file is the file or pipe behind out. Both being the
// null device hurts nobody.
func isStdout(file *os.File, out io.Writer) bool {
	stdout, ok := out.(*os.File)
	if !ok || file.Name() == os.DevNull {
		return false
	}
	a, err := file.Stat()
	if err != nil {
		return false
	}
	b, err := stdout.Stat()
	return err == nil && os.SameFile(a, b)
}
