package mcpkit

import (
	"context"
	"maps"
	"sync"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// maxSessions is how many sessions one caller may have open. Each client needs
// one, and each holds some 10 kB until it has been idle for long.
const maxSessions = 100

// sessions know whose each open session is.
type sessions struct {
	mu     sync.Mutex
	caller map[string]string // name, by the session's id
}

// boundSessions keeps one caller from opening sessions without end. Only older
// clients of some servers have any, see streamable.
func (s *Server) boundSessions(next mcp.MethodHandler) mcp.MethodHandler {
	return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
		caller, known := callerOf(req.GetExtra())
		if method != "initialize" || !known {
			return next(ctx, method, req)
		}
		if id := req.GetSession().ID(); id != "" {
			if err := s.openSession(id, caller.Name); err != nil {
				return nil, s.protocolError(method, err)
			}
		}
		return next(ctx, method, req)
	}
}

func (s *Server) openSession(id, caller string) error {
	s.sessions.mu.Lock()
	defer s.sessions.mu.Unlock()
	open := map[string]bool{}
	for session := range s.mcp.Sessions() {
		open[session.ID()] = true
	}
	maps.DeleteFunc(s.sessions.caller, func(id, _ string) bool { return !open[id] })
	mine := 0
	for _, other := range s.sessions.caller {
		if other == caller {
			mine++
		}
	}
	if mine >= maxSessions {
		return Errorf(Unavailable, "%s has %d sessions open here, the most one caller may have; end some (DELETE with their Mcp-Session-Id), or try again once idle ones have ended", caller, mine)
	}
	s.sessions.caller[id] = caller
	return nil
}
