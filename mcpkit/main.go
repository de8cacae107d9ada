package mcpkit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.opentelemetry.io/otel"
)

// Program describes the binary of one server. Everything every server has in
// common, from the flags to the shutdown, is Main's.
type Program struct {
	Name         string // of the binary, such as kubernetes-mcp
	Version      string // the module's version from the build when empty
	Summary      string // one sentence for --help
	Instructions string // what a client tells its model about the server as a whole

	// Flags adds the backend's own flags. It may be nil.
	Flags func(*pflag.FlagSet)
	// Register adds the server's tools, once the flags are parsed. It must
	// not need the backend to be there: the subcommands register too.
	Register func(*Toolset) error
	// Identity, where the server can act as its callers, takes the value of
	// --identity. Without it there is no such flag.
	Identity *Identity
	// Locks opens the way to the cluster that knows callers and approvals. It
	// must not need the cluster to be there; its error is what is wrong with
	// the configuration. Without it only the local caller and the person at
	// the client count.
	Locks func(LocksConfig) (Locks, error)
}

// Exit codes of [Main].
const (
	exitFailure = 1 // it could not go on
	exitUsage   = 2 // the command line must change
)

// Main runs p with the process's arguments and ends the process.
func Main(p Program) {
	tuneCollector(os.Getenv)
	signal.Ignore(syscall.SIGPIPE) // a client that closes our stderr must not end the calls in flight
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := p.run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is Main with everything it touches handed in. It returns the exit code.
func (p Program) run(ctx context.Context, args []string, in io.ReadCloser, out, errs io.Writer) int {
	if p.Version == "" {
		p.Version = BuildVersion()
	}
	cmd := p.command(streams{in, out, errs})
	cmd.SetArgs(args)
	cmd.SetOut(out)
	cmd.SetErr(errs)
	err := cmd.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintf(errs, "%s: %v\n", p.Name, err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

// streams are the process's standard streams. In stdio mode out carries the
// protocol and nothing else.
type streams struct {
	in   io.ReadCloser
	out  io.Writer
	errs io.Writer
}

// usageError is a command line that cannot work; its text says what to do.
type usageError struct{ error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// command is the command line: the root serves, the rest prints.
func (p Program) command(std streams) *cobra.Command {
	f := flags{identity: IdentityServer}
	root := &cobra.Command{
		Use:               p.Name,
		Short:             p.Summary,
		Long:              p.Summary + "\n\nWithout a subcommand it serves its tools: over stdin and stdout, or with --http over streamable HTTP at /mcp.",
		Version:           p.Version,
		Args:              noArgs,
		SilenceUsage:      true,
		SilenceErrors:     true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if p.Identity != nil {
				f.identity = *p.Identity
			}
			f.settle(cmd.Flags().Changed, p.Locks != nil, os.Getenv("KUBERNETES_SERVICE_HOST") != "")
			return p.serve(cmd.Context(), f, std)
		},
	}
	f.add(root.Flags())
	if p.Identity != nil {
		p.Identity.add(root.Flags(), "as whom the cluster is asked: `server`, with this server's own rights, or caller, with the rights of whoever calls and no others, which needs --auth")
	}
	if p.Flags != nil {
		p.Flags(root.Flags())
	}
	root.Flags().SortFlags = false
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, p.Name)
	})
	root.AddCommand(p.rbacCommand(), p.toolsCommand(), p.versionCommand())
	return root
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command %q; see %s --help", args[0], cmd.CommandPath())
	}
	return nil
}

func (p Program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), p.Name, p.Version)
			return err
		},
	}
}

// serve starts the server that the flags ask for and returns once it has ended.
func (p Program) serve(ctx context.Context, f flags, std streams) error {
	options, closeRecord, err := f.options(std)
	if err != nil {
		return err
	}
	defer closeRecord()
	ts := NewToolset()
	if err := p.Register(ts); err != nil {
		return err
	}
	options.Name, options.Version, options.Instructions = p.Name, p.Version, p.Instructions
	if err := p.lock(&options, f); err != nil {
		return err
	}
	if options.Telemetry, err = p.telemetry(options.Logger); err != nil {
		return err
	}
	defer options.Telemetry.shutdown()
	s := NewServer(ts, options)
	s.Logger.Info("serving", "version", p.Version, "access", s.Access, "gate", s.Gate, "http", f.http)
	go s.checkApprovals(ctx)
	if f.http == "" {
		return s.serveStdio(ctx, std.in, std.out, f)
	}
	return s.serveHTTP(ctx, f)
}

// lock has the cluster, and the issuer it trusts, decide what the flags leave
// to them. A server that only reads has no approvals to look for.
func (p Program) lock(o *Options, f flags) error {
	approvals := o.Gate == GateApproval && o.Access != AccessRead
	if f.auth == authNone && !approvals {
		return nil
	}
	if p.Locks == nil {
		return usagef("%s asks no cluster about callers and approvals; write --auth=none --gate=ask", p.Name)
	}
	if f.auth == authOIDC {
		authenticator, err := f.authenticator()
		if err != nil {
			return err
		}
		o.Authenticator = authenticator
	}
	f.locks.Audience = cmp.Or(f.locks.Audience, p.Name)
	f.locks.UserAgent = p.Name + "/" + p.Version
	f.locks.Logger = o.Logger
	locks, err := p.Locks(f.locks)
	if err != nil {
		return usagef("--auth=%s --gate=%s: %w; to ask no cluster, write --auth=none --gate=ask", f.auth, o.Gate, err)
	}
	if f.auth == authKubernetes {
		o.Authenticator = locks
	}
	if f.auth != authNone {
		o.Authorizer = locks
	}
	if approvals {
		o.Approvals = locks
		if f.keyFile == "" {
			o.Logger.Warn("approvals are bound to a key that ends with this process; for a restart or another replica to honour them, set --key-file")
		}
	}
	return nil
}

// telemetry sends spans where the environment says, and says on the log, never
// on standard output, when that does not work.
func (p Program) telemetry(log *slog.Logger) (*Telemetry, error) {
	exporter, err := newExporter(os.Getenv)
	if err != nil {
		return nil, err
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { log.Warn("telemetry", "error", err) }))
	return NewTelemetry(p.Name, p.Version, exporter), nil
}

// version is set by the linker: -X github.com/toolcrib/toolcrib/mcpkit.version=v1.2.3.
var version string

// BuildVersion is the version that the build was given, or else the main
// module's as the Go toolchain recorded it; "devel" when there is neither.
func BuildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" || info.Main.Version == "(devel)" {
		return "devel"
	}
	return info.Main.Version
}
