package mcpkit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Caller is who makes a call, as authentication found it.
type Caller struct {
	Name    string              // such as system:serviceaccount:kagent:troubleshooter or ada@example.com
	UID     string              // that tells it from an earlier caller of the same name; empty if nothing is known
	Groups  []string            // it is a member of
	Extra   map[string][]string // what else the cluster knows of it, as its authorizers may ask
	Expires time.Time           // when what proved it does; zero for the local caller
}

// local is the one caller of a server that authenticates nobody: whoever can
// reach the process, which is this machine's user.
var local = Caller{Name: "local"}

// serviceAccountPrefix begins the name of every ServiceAccount as a caller.
const serviceAccountPrefix = "system:serviceaccount:"

// agent names the caller as people do: NAMESPACE/NAME for a ServiceAccount.
func (c Caller) agent() string {
	if rest, ok := strings.CutPrefix(c.Name, serviceAccountPrefix); ok {
		return strings.Replace(rest, ":", "/", 1)
	}
	return c.Name
}

// Authenticator finds out whose a token is.
type Authenticator interface {
	// Authenticate returns the caller that the bearer token proves. The
	// error is the context's, or an *Error: Denied for a token that is not
	// good here, Unavailable when that cannot be found out.
	Authenticate(ctx context.Context, token string) (Caller, error)
}

// Right is something that a caller may be granted, in the words of RBAC.
type Right struct {
	Verb      string
	Group     string
	Resource  string
	Namespace string // the server's own if empty
	Name      string // of the object; it is about all of them if empty
}

// String is the right as kubectl auth can-i asks for it, but for its namespace.
func (r Right) String() string {
	text := r.Verb + " " + r.Resource
	if r.Group != "" {
		text += "." + r.Group
	}
	if r.Name != "" {
		text += "/" + r.Name
	}
	return text
}

// toolRight is what a caller is granted of a tool, or of all tools if name is
// empty.
func toolRight(verb, name string) Right {
	return Right{Verb: verb, Group: "toolcrib.dev", Resource: "tools", Name: name}
}

// Authorizer knows who may do what.
type Authorizer interface {
	// Authorize reports whether the caller has the right. The error is the
	// context's, or an *Error of kind Unavailable.
	Authorize(ctx context.Context, caller Caller, right Right) (bool, error)
}

// Locks is the cluster's say on callers and on writes. Package locks is the
// one implementation: the kit itself knows no Kubernetes.
type Locks interface {
	Authenticator
	Authorizer
	Approvals
	// CheckApprovals says why the cluster's approvals cannot be relied on, for
	// whoever runs the server; nil if they can. It changes nothing.
	CheckApprovals(ctx context.Context) error
}

// LocksConfig says which cluster has the say, and as what it knows the server.
type LocksConfig struct {
	Kubeconfig string // path; KUBECONFIG, or the cluster the process runs in, if empty
	Namespace  string // of the server: callers are granted its tools there, and approvals are kept there; the pod's if empty
	Audience   string // that a token must be issued for
	UserAgent  string // what the API server's audit log calls us

	Logger *slog.Logger // what the cluster says besides an answer; none
}

// tokenCaller is where a request's TokenInfo keeps its Caller.
const tokenCaller = "toolcrib.dev/caller"

// callerOf is the caller that the transport has authenticated.
func callerOf(extra *mcp.RequestExtra) (Caller, bool) {
	if extra == nil || extra.TokenInfo == nil {
		return Caller{}, false
	}
	caller, ok := extra.TokenInfo.Extra[tokenCaller].(Caller)
	return caller, ok
}

// authenticate names the caller, whom the transport has authenticated. What a
// client says of its agent does not count then.
func (s *Server) authenticate(_ context.Context, c *Call) error {
	if s.Authenticator == nil {
		c.Caller = local
		return nil
	}
	caller, ok := callerOf(c.req.Extra)
	if !ok {
		return Errorf(Denied, "this server calls no tool for a caller it does not know")
	}
	c.Caller, c.Agent = caller, caller.agent()
	return nil
}

// authorize asks whether the caller may call this tool.
func (s *Server) authorize(ctx context.Context, c *Call) error {
	if s.Authorizer == nil {
		return nil
	}
	ok, err := s.Authorizer.Authorize(ctx, c.Caller, toolRight("call", c.tool.Name))
	if err != nil {
		s.logCause("a caller's rights cannot be found out", err)
		return err
	}
	if !ok {
		return Errorf(Denied, "%s may not call %s; somebody who may grant it has to (verb call on tools.toolcrib.dev, name %s, in the server's namespace). Do not look for a way around it", c.Caller.Name, c.tool.Name, c.tool.Name)
	}
	return nil
}

// logCause writes an error down with the cause that its reader is not told.
func (s *Server) logCause(message string, err error) {
	var known *Error
	if errors.As(err, &known) && known.Err != nil {
		err = fmt.Errorf("%w: %w", known, known.Err)
	}
	s.refusals.Do(func() { s.Logger.Warn(message, "error", s.redactor.Text(err.Error())) })
}

// cacheable keeps a list made for one caller from the next one: intermediaries
// may share what is public.
func (s *Server) cacheable(_ context.Context, _ mcp.Request, c *mcp.Cacheable) {
	if s.Authenticator != nil {
		c.CacheScope = "private"
	}
}

// listAllowed leaves out of tools/list what its reader may not call, unless it
// may list them all: who looks after agents sees what they could be granted.
func (s *Server) listAllowed(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		result, err := next(ctx, method, req)
		list, ok := result.(*mcp.ListToolsResult)
		if err != nil || !ok || s.Authenticator == nil {
			return result, err
		}
		if err := s.keepAllowed(ctx, req.GetExtra(), list); err != nil {
			s.logCause("tools cannot be listed", err)
			return nil, s.protocolError(method, err)
		}
		return list, nil
	}
}

// protocolError is err as the answer to a request that calls no tool.
func (s *Server) protocolError(method string, err error) error {
	_, text := explain(err, method, "")
	return &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: s.redactor.Text(text)}
}

// listedAtOnce bounds how many tools of one list are asked about at once.
const listedAtOnce = 16

func (s *Server) keepAllowed(ctx context.Context, extra *mcp.RequestExtra, list *mcp.ListToolsResult) error {
	caller, ok := callerOf(extra)
	if !ok {
		return Errorf(Denied, "this server lists no tools for a caller it does not know")
	}
	if err := s.shares.pace(caller.Name, s.Now()); err != nil || s.Authorizer == nil {
		return err
	}
	if all, err := s.Authorizer.Authorize(ctx, caller, toolRight("list", "")); err != nil || all {
		return err
	}
	allowed := make([]bool, len(list.Tools))
	var steps []func(context.Context) error
	for i, t := range list.Tools {
		steps = append(steps, func(ctx context.Context) (err error) {
			allowed[i], err = s.Authorizer.Authorize(ctx, caller, toolRight("call", t.Name))
			return err
		})
	}
	if err := Together(ctx, listedAtOnce, steps...); err != nil {
		return err
	}
	kept := []*mcp.Tool{}
	for i, t := range list.Tools {
		if allowed[i] {
			kept = append(kept, t)
		}
	}
	list.Tools = kept
	return nil
}
