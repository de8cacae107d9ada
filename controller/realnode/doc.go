// Package realnode runs agents' pods on a real node: what the kubelet says of
// them, and what the security of pods really lets them do. It holds nothing but
// tests.
package realnode
