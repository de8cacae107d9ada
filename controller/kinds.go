package controller

import (
	"github.com/toolcrib/toolcrib/controller/modelconfig"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// kind is a kind of object that is reconciled.
type kind struct {
	rules []rbacv1.PolicyRule // what that takes
	setup func(m manager.Manager, o Options, prices string) error
}

// kinds are all kinds that are reconciled, each in the folder of its name.
var kinds = []kind{
	{modelconfig.Rules, func(m manager.Manager, _ Options, _ string) error { return modelconfig.Setup(m) }},
}
