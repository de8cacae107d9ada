// Package deployed proves the charts on a real cluster: installed by Helm from
// the images that make images packs, where the restricted pod security standard
// is enforced, and called through their Services by ServiceAccounts. The samples
// of agents run there as they stand. It is tests alone. What it cannot prove is that the NetworkPolicies let through what they
// should: the testbed's network enforces none.
package deployed
