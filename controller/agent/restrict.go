package agent

import (
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// nobody is the user that agents run as if their owner names no other.
const nobody = int64(65532)

// restrict makes the security settings those of restricted pods, with a
// read-only root, and returns the paths of those that it overrides.
func (s *settings) restrict() (overridden []string) {
	override := func(wrong bool, path string) {
		if wrong {
			overridden = append(overridden, settingsPath+"."+path)
		}
	}
	pod, c := &s.podSecurity, &s.security
	override(isFalse(pod.RunAsNonRoot), "podSecurityContext.runAsNonRoot")
	override(isFalse(c.RunAsNonRoot), "securityContext.runAsNonRoot")
	pod.RunAsNonRoot, c.RunAsNonRoot = new(true), nil
	override(isZero(pod.RunAsUser), "podSecurityContext.runAsUser")
	override(isZero(c.RunAsUser), "securityContext.runAsUser")
	if pod.RunAsUser == nil || *pod.RunAsUser == 0 {
		pod.RunAsUser = new(nobody)
	}
	if isZero(c.RunAsUser) {
		c.RunAsUser = nil
	}
	if pod.SeccompProfile == nil {
		pod.SeccompProfile = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
	}
	for _, profile := range []struct {
		at   **corev1.SeccompProfile
		path string
	}{{&pod.SeccompProfile, "podSecurityContext"}, {&c.SeccompProfile, "securityContext"}} {
		if p := *profile.at; p != nil && p.Type == corev1.SeccompProfileTypeUnconfined {
			override(true, profile.path+".seccompProfile")
			*profile.at = &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault}
		}
	}
	override(isTrue(c.Privileged), "securityContext.privileged")
	override(isTrue(c.AllowPrivilegeEscalation), "securityContext.allowPrivilegeEscalation")
	override(isFalse(c.ReadOnlyRootFilesystem), "securityContext.readOnlyRootFilesystem")
	override(c.Capabilities != nil && len(c.Capabilities.Add) > 0, "securityContext.capabilities.add")
	c.Privileged, c.AllowPrivilegeEscalation, c.ReadOnlyRootFilesystem = nil, new(false), new(true)
	c.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
	s.restrictExtra(override)
	return overridden
}

// restrictExtra does the same for containers beside the agent's, but leaves
// them their writable root.
func (s *settings) restrictExtra(override func(bool, string)) {
	for i := range s.extra {
		c, path := &s.extra[i], at("extraContainers", i)+".securityContext."
		if c.SecurityContext == nil {
			c.SecurityContext = &corev1.SecurityContext{}
		}
		security := c.SecurityContext
		override(isTrue(security.Privileged), path+"privileged")
		override(isTrue(security.AllowPrivilegeEscalation), path+"allowPrivilegeEscalation")
		override(security.Capabilities != nil && len(security.Capabilities.Add) > 0, path+"capabilities.add")
		override(isFalse(security.RunAsNonRoot), path+"runAsNonRoot")
		security.Privileged, security.AllowPrivilegeEscalation, security.RunAsNonRoot = nil, new(false), nil
		security.Capabilities = &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}}
	}
}

// evaluator is the very judge that the API server has for namespaces that want
// restricted pods.
var evaluator = sync.OnceValues(func() (policy.Evaluator, error) { return policy.NewEvaluator(policy.DefaultChecks(), nil) })

// judge refuses what is left that restricted pods may not have, such as volumes
// of the node.
func judge(p *problems, template *corev1.PodTemplateSpec) {
	e, err := evaluator()
	if err != nil {
		p.fail(err)
		return
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, check := range e.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec) {
		if !check.Allowed {
			p.add("PodSecurity", "%s: agents are restricted pods, which this breaks: %s", settingsPath, strings.TrimSpace(check.ForbiddenReason+" "+check.ForbiddenDetail))
		}
	}
}

func isTrue(b *bool) bool  { return b != nil && *b }
func isFalse(b *bool) bool { return b != nil && !*b }
func isZero(n *int64) bool { return n != nil && *n == 0 }
