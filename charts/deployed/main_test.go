package deployed

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/toolcrib/toolcrib/images"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	"github.com/toolcrib/toolcrib/testbed/image"
	"go.yaml.in/yaml/v3"
)

// What is upgraded, and to which version.
const (
	upgraded    = "kubernetes"
	nextVersion = "99.0.0"
)

const prometheusImage = "toolcrib.test/prometheus:1"

var (
	cluster  *testbed.Cluster
	programs build.Programs
)

func TestMain(m *testing.M) {
	os.Exit(testbed.Main(m, testbed.Options{Tier: testbed.Node}, func(c *testbed.Cluster) {
		cluster = c
		if err := prepare(); err != nil {
			fmt.Fprintln(os.Stderr, "prepare the cluster:", err)
			os.Exit(1) // the cluster ends with us
		}
	}))
}

// prepare puts on the cluster what comes before the charts.
func prepare() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // the first time much is built
	defer cancel()
	var err error
	if programs, err = build.Build(ctx, os.Stderr, build.Helm, build.Prometheus); err != nil {
		return err
	}
	if err := cluster.Load(ctx, image.Image{
		Name: prometheusImage, Files: map[string]string{"bin/prometheus": programs["prometheus"]}, Entrypoint: []string{"/bin/prometheus"},
	}); err != nil {
		return err
	}
	for _, p := range []program{
		{"servers/kubernetes", "kubernetes-mcp", "kubernetes"},
		{"servers/prometheus", "prometheus-mcp", "prometheus"},
		{"servers/helm", "helm-mcp", "helm"},
		{"controller", "controller", "controller"},
		{"agentcore", "agentcore", "controller"}, // whose chart says which image agents run
	} {
		if err := p.load(ctx); err != nil {
			return err
		}
	}
	if err := runHelm(ctx, "install", "crib-locks", "../locks"); err != nil {
		return err
	}
	people, err := os.ReadFile("testdata/people.yaml")
	if err != nil {
		return err
	}
	return cluster.Apply(ctx, people)
}

// program is a command of this repository that a chart runs.
type program struct{ module, name, chart string }

// load builds the program and puts an image of it on the node under the tag that
// its chart asks for, and one to upgrade to.
func (p program) load(ctx context.Context) error {
	binary := filepath.Join(cluster.Dir, p.name)
	cmd := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", binary, "./cmd/"+p.name)
	cmd.Dir = "../../" + p.module
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w: %s", p.name, err, out)
	}
	current, err := appVersion(p.chart)
	if err != nil {
		return err
	}
	versions := []string{current}
	if p.chart == upgraded {
		versions = append(versions, nextVersion)
	}
	for _, v := range versions {
		i, err := images.Build(images.Release{Version: v, Revision: "test", Created: time.Unix(0, 0)}, binary)
		if err != nil {
			return err
		}
		archive := binary + "-" + v + ".tar"
		if err := i.Write(archive); err != nil {
			return err
		}
		if err := cluster.LoadArchive(ctx, archive); err != nil {
			return err
		}
	}
	return nil
}

// appVersion is the tag that a chart gives its image.
func appVersion(chart string) (string, error) {
	data, err := os.ReadFile(filepath.Join("..", chart, "Chart.yaml"))
	if err != nil {
		return "", err
	}
	var c struct {
		AppVersion string `yaml:"appVersion"`
	}
	err = yaml.Unmarshal(data, &c)
	return c.AppVersion, err
}
