package a2a

import (
	"cmp"
	"context"
	"net/http"

	wire "github.com/a2aproject/a2a-go/v2/a2a"
	"github.com/a2aproject/a2a-go/v2/a2acompat/a2av0"
	"github.com/a2aproject/a2a-go/v2/a2asrv"
	"github.com/toolcrib/toolcrib/mcpkit"
)

// textMode is what an agent reads and writes.
const textMode = "text/plain"

// urlKey is where the context of a request for the card holds where the agent is
// reached.
type urlKey struct{}

// card serves the agent's card in a form that clients of both versions read.
func (s *server) card() http.Handler {
	serve := a2asrv.NewAgentCardHandler(a2av0.NewAgentCardProducer(a2asrv.AgentCardProducerFn(func(ctx context.Context) (*wire.AgentCard, error) {
		url, _ := ctx.Value(urlKey{}).(string)
		return s.describe(url), nil
	})))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme := "http"
		if r.TLS != nil {
			scheme = "https"
		}
		url := cmp.Or(s.URL, scheme+"://"+r.Host+"/") // the door knows the host
		serve.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), urlKey{}, url)))
	})
}

func (s *server) describe(url string) *wire.AgentCard {
	spec := s.Agent.Spec
	card := &wire.AgentCard{
		Name: s.Agent.Name, Description: cmp.Or(spec.Description, "The agent "+s.Agent.Name+"."), Version: cmp.Or(spec.Version, mcpkit.BuildVersion()),
		DocumentationURL: spec.DocumentationURL, IconURL: spec.IconURL,
		Capabilities:      wire.AgentCapabilities{Streaming: true},
		DefaultInputModes: []string{textMode, "application/json"}, DefaultOutputModes: []string{textMode},
		SupportedInterfaces: []*wire.AgentInterface{
			wire.NewAgentInterface(url, wire.TransportProtocolJSONRPC),
			{URL: url, ProtocolBinding: wire.TransportProtocolJSONRPC, ProtocolVersion: a2av0.Version},
		},
		Skills: s.skills(),
	}
	if p := spec.Provider; p != nil {
		card.Provider = &wire.AgentProvider{Org: p.Organization, URL: p.URL}
	}
	if s.Authenticator != nil {
		const bearer = "bearer"
		card.SecuritySchemes = wire.NamedSecuritySchemes{bearer: wire.HTTPAuthSecurityScheme{
			Scheme: "Bearer", BearerFormat: "JWT", Description: "A token of the cluster that the agent runs in, such as a ServiceAccount's, issued for the agent's audience.",
		}}
		card.SecurityRequirements = wire.SecurityRequirementsOptions{{bearer: wire.SecuritySchemeScopes{}}}
	}
	return card
}

// skills are those that the Agent names; one that stands for the agent as a
// whole, if it names none, since clients want one.
func (s *server) skills() []wire.AgentSkill {
	var out []wire.AgentSkill
	if d := s.Agent.Spec.Declarative; d != nil && d.A2AConfig != nil {
		for _, k := range d.A2AConfig.Skills {
			out = append(out, wire.AgentSkill{
				ID: cmp.Or(k.ID, k.Name), Name: k.Name, Description: cmp.Or(k.Description, k.Name), Tags: append([]string{}, k.Tags...),
				Examples: k.Examples, InputModes: k.InputModes, OutputModes: k.OutputModes,
			})
		}
	}
	if len(out) == 0 {
		out = append(out, wire.AgentSkill{ID: "ask", Name: "Ask " + s.Agent.Name, Description: cmp.Or(s.Agent.Spec.Description, "Answers questions."), Tags: []string{}})
	}
	return out
}
