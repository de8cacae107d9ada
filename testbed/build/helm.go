package build

// Helm of two major versions: what releases are compared with and, being
// another's, written by. Both are stamped with their own version, since without
// it charts that ask for a version of Helm refuse them.
var (
	Helm = Binary{
		Name: "helm", Module: "backends/helm", Package: "helm.sh/helm/v3/cmd/helm",
		LDFlags: "-X helm.sh/helm/v3/internal/version.version=v3.22.0",
	}
	Helm4 = Binary{
		Name: "helm4", Module: "backends/helm4", Package: "helm.sh/helm/v4/cmd/helm",
		LDFlags: "-X helm.sh/helm/v4/internal/version.version=v4.3.1",
	}
	// Registry serves charts over HTTP and as an OCI registry.
	Registry = Binary{Name: "registry", Module: "backends/registry", Package: "."}
)
