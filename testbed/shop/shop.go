// Package shop is a small shop of workloads with real faults, for the demo and
// for tests: a crash loop with a telling log line, an image nobody can pull, a
// Service whose selector matches nothing, a claim that stays pending, and a
// frontend that is rolled out a second time. It needs a real node.
package shop

import _ "embed"

// Namespace is where the shop is.
const Namespace = "shop"

// Manifests is the shop as it is first deployed.
//
//go:embed shop.yaml
var Manifests []byte

// Rollout is the frontend's second revision: another timeout, another request,
// one replica more.
//
//go:embed rollout.yaml
var Rollout []byte
