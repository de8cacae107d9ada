package build

const prometheus = "backends/prometheus"

// What monitoring is made of. The versions are those of the backends' go.mod.
var (
	Prometheus = Binary{
		Name: "prometheus", Module: prometheus, Package: "github.com/prometheus/prometheus/cmd/prometheus",
		Tags:    "remove_all_sd,enable_kubernetes_sd,enable_dns_sd", // the clouds' are two thirds of it
		LDFlags: "-X github.com/prometheus/common/version.Version=3.15.0",
	}
	Alertmanager = Binary{
		Name: "alertmanager", Module: "backends/alertmanager", Package: "github.com/prometheus/alertmanager/cmd/alertmanager",
		LDFlags: "-X github.com/prometheus/common/version.Version=0.31.1",
	}
	NodeExporter = Binary{
		Name: "node_exporter", Module: prometheus, Package: "github.com/prometheus/node_exporter",
		LDFlags: "-X github.com/prometheus/common/version.Version=1.12.1",
	}
	// Exporter has the series that tests know, and takes notifications.
	Exporter = Binary{Name: "exporter", Module: prometheus, Sources: []string{"shop/*.go"}}
	// Seed writes a past for Prometheus.
	Seed = Binary{Name: "seed", Module: prometheus, Sources: []string{"shop/*.go"}}
)
