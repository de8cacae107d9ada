package mcpkit

import (
	"context"
	"io"
)

// Run is Main with the process's surroundings handed in.
func (p Program) Run(ctx context.Context, args []string, in io.ReadCloser, out, errs io.Writer) int {
	return p.run(ctx, args, in, out, errs)
}

// CallerOf names whom a token with these claims proves.
func (o *OIDC) CallerOf(claims []byte) (Caller, error) { return o.caller(claims) }
