package v1alpha1_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/toolcrib/toolcrib/api/toolcrib/v1alpha1"
	"github.com/toolcrib/toolcrib/testbed"
	"github.com/toolcrib/toolcrib/testbed/build"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The chart that brings the types and their policy, and what it installs.
const (
	chart     = "../../../charts/locks"
	manifests = chart + "/manifests"
)

// enough is for a machine that is short of everything.
const enough = 15 * time.Minute

var cluster *testbed.Cluster

// The people of testdata/people.yaml.
var admin, ada, bob, vic, mallory, robot, server person

func TestMain(m *testing.M) {
	os.Exit(testbed.Main(m, testbed.Options{}, func(c *testbed.Cluster) {
		cluster = c
		if err := settle(); err != nil {
			panic(err)
		}
	}))
}

// settle installs the chart and lets the people in.
func settle() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Minute) // the first time Helm is built
	defer cancel()
	var errs []error
	user := func(name string) person {
		path, err := cluster.UserKubeconfig(ctx, name)
		errs = append(errs, err)
		return person{name: name, kubeconfig: path}
	}
	account := func(name string) person {
		path, err := cluster.ServiceAccount(ctx, "tools", name)
		errs = append(errs, err)
		return person{name: "system:serviceaccount:tools:" + name, kubeconfig: path}
	}
	admin = person{name: "toolcrib:admin", kubeconfig: cluster.Kubeconfig}
	ada, bob, vic, mallory = user("ada"), user("bob@example.com"), user("vic"), user("mallory")
	robot, server = account("robot"), account("server")
	programs, err := build.Build(ctx, os.Stderr, build.Helm)
	errs = append(errs, err)
	helmPath = programs[build.Helm.Name]
	_, err = helm(ctx, "install", release, chart)
	errs = append(errs, err)
	errs = append(errs, cluster.Install(ctx, kagentManifests, "testdata/people.yaml"))
	_, err = cluster.Kubectl(ctx, "create", "namespace", "kagent")
	if err := errors.Join(append(errs, err)...); err != nil {
		return err
	}
	return locked(ctx)
}

// release is the chart's, in namespace default.
const release = "crib-locks"

var helmPath string

// helm runs Helm as the administrator, with a home that goes with the cluster.
func helm(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, helmPath, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.Kubeconfig,
		"HELM_CACHE_HOME="+cluster.Dir, "HELM_CONFIG_HOME="+cluster.Dir, "HELM_DATA_HOME="+cluster.Dir)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("helm %s: %w: %s", args[0], err, out)
	}
	return string(out), err
}

// locked returns once the API server holds requests to the policy, which takes
// it a moment.
func locked(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, enough)
	defer cancel()
	tooLong := approval("probe")
	tooLong.Spec.ExpiresAt = in(25 * time.Hour)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		_, err := server.try(ctx, tooLong, "create", "--dry-run=server", "-f", "-")
		if err != nil && strings.Contains(err.Error(), "ValidatingAdmissionPolicy") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the policy: %w: %w", ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// person is a user of the cluster, with kubectl.
type person struct {
	name, kubeconfig string
	flags            []string
}

// as is the person under another name.
func (p person) as(user string, groups ...string) person {
	p.flags = []string{"--as", user}
	for _, g := range append(groups, "system:authenticated") {
		p.flags = append(p.flags, "--as-group", g)
	}
	p.name = user
	return p
}

// try runs kubectl in namespace tools, with stdin as JSON, or as it stands if it
// is text.
func (p person) try(ctx context.Context, stdin any, args ...string) (string, error) {
	sent, isText := stdin.([]byte)
	if !isText {
		var err error
		if sent, err = json.Marshal(stdin); err != nil {
			return "", err
		}
	}
	args = append(append([]string{"--kubeconfig", p.kubeconfig, "--namespace", "tools"}, p.flags...), args...)
	cmd := exec.CommandContext(ctx, cluster.KubectlPath(), args...)
	cmd.Stdin = bytes.NewReader(sent)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", p.name, err, &stderr)
	}
	return string(out), nil
}

// does runs kubectl, which must succeed, and returns what it prints.
func (p person) does(t *testing.T, args ...string) string {
	t.Helper()
	out, err := p.try(t.Context(), nil, args...)
	require.NoError(t, err)
	return out
}

// patches merges status into that of an approval.
func (p person) patches(t *testing.T, name, status string) error {
	t.Helper()
	_, err := p.try(t.Context(), nil, "patch", "approval", name, "--subresource=status", "--type=merge", "-p", "status: "+status)
	return err
}

// makes makes the object as the administrator, and removes it after the test.
func makes(t *testing.T, object any) {
	t.Helper()
	_, err := admin.try(t.Context(), object, "create", "--validate=strict", "-f", "-")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := admin.try(context.Background(), object, "delete", "-f", "-")
		require.NoError(t, err)
	})
}

// asks makes the approval, as a tool server does, and removes it after the test.
func asks(t *testing.T, a v1alpha1.Approval) {
	t.Helper()
	_, err := server.try(t.Context(), a, "create", "-f", "-")
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := cluster.Kubectl(context.Background(), "-n", "tools", "delete", "approval", a.Name)
		require.NoError(t, err)
	})
}

// found is the approval as it is now.
func found(t *testing.T, name string) v1alpha1.Approval {
	t.Helper()
	var a v1alpha1.Approval
	require.NoError(t, json.Unmarshal([]byte(admin.does(t, "get", "approval", name, "-o", "json")), &a))
	return a
}

// approval is one that a tool server would make.
func approval(name string) v1alpha1.Approval {
	return v1alpha1.Approval{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Approval"},
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "tools", Labels: map[string]string{"toolcrib.dev/request": "5f2e"}},
		Spec: v1alpha1.ApprovalSpec{
			Server: "kubernetes-mcp", Tool: "k8s_scale", Caller: "system:serviceaccount:kagent:troubleshooter", Agent: "kagent/troubleshooter",
			Run: "r-17", Target: "deployments/web in namespace shop",
			Arguments: `{"name":"web","namespace":"shop","replicas":3}`, ArgumentsHash: "4oTc",
			Plan: "deployments/web in namespace shop\n\n-replicas: 2\n+replicas: 3", PlanHash: "9xQb",
			ExpiresAt: in(time.Hour),
		},
	}
}

func in(d time.Duration) metav1.Time { return metav1.NewTime(time.Now().Add(d).UTC()) }
