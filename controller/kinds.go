package controller

import (
	"github.com/toolcrib/toolcrib/controller/agent"
	"github.com/toolcrib/toolcrib/controller/agentrun"
	"github.com/toolcrib/toolcrib/controller/agenttrigger"
	"github.com/toolcrib/toolcrib/controller/approval"
	"github.com/toolcrib/toolcrib/controller/identity"
	"github.com/toolcrib/toolcrib/controller/modelconfig"
	"github.com/toolcrib/toolcrib/controller/remotemcpserver"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// shared is what the kinds have in common.
type shared struct {
	options    Options
	prices     string // YAML
	monitoring []networkingv1.NetworkPolicyPeer
	identity   *identity.Identity
}

// kind is a kind of object that is reconciled.
type kind struct {
	rules []rbacv1.PolicyRule // what that takes
	setup func(manager.Manager, shared) error
}

// kinds are all kinds that are reconciled, each in the folder of its name.
var kinds = []kind{
	{modelconfig.Rules, func(m manager.Manager, _ shared) error { return modelconfig.Setup(m) }},
	{remotemcpserver.Rules, func(m manager.Manager, s shared) error { return remotemcpserver.Setup(m, s.identity) }},
	{agent.Rules, func(m manager.Manager, s shared) error { return agent.Setup(m, s.agents()) }},
	{agentrun.Rules, func(m manager.Manager, _ shared) error { return agentrun.Setup(m) }},
	{agenttrigger.Rules, func(m manager.Manager, s shared) error { return agenttrigger.Setup(m, s.alerts()) }},
	{approval.Rules, func(m manager.Manager, s shared) error { return approval.Setup(m, s.options.ApprovalRetention) }},
}

// agents is how agents are run.
func (s shared) agents() agent.Options {
	return agent.Options{
		Image: s.options.AgentImage, PullPolicy: s.options.AgentImagePullPolicy, PullSecrets: s.options.AgentImagePullSecrets,
		Prices: s.prices, Monitoring: s.monitoring, Gateways: s.options.ModelGateways, Namespaces: s.options.WatchNamespaces, Identity: s.identity, Clock: clock.RealClock{},
	}
}

// alerts is where alerts are received.
func (s shared) alerts() agenttrigger.Options {
	return agenttrigger.Options{Address: s.options.AlertsAddress, Audience: s.options.AlertsAudience, Namespaces: s.options.WatchNamespaces}
}
