package kubernetes

import (
	"context"
	"fmt"
	stdmaps "maps"
	"regexp"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
)

var (
	forbiddenPod = regexp.MustCompile(`^(\(combined from similar events\): )?(Error creating: )?(pods? "[^"]*" is forbidden: |admission webhook )?`)
	quotaName    = regexp.MustCompile(`(?:exceeded|failed) quota: ([^:,]+)`)
)

// creation says why a workload has fewer pods than it should, where they cannot
// be created: a condition keeps the first reason, the newest event the last.
func (d *diagnosis) creation(ctx context.Context, w *workloadCase) {
	if w.blocked == "" && w.census.total >= w.desired {
		return
	}
	object := w.kind + "/" + w.meta.Name
	if w.creator != "" {
		object = w.creator
		kind, name, _ := strings.Cut(object, "/")
		d.eventsWhere(ctx, fields.Set{"involvedObject.kind": kind, "involvedObject.name": name})
	}
	if e := d.events.find(object, "", "FailedCreate"); e != nil {
		d.events.tell(object, "FailedCreate")
		w.blocked = e.latest
	}
	if w.blocked != "" {
		d.creationFailure(ctx, w)
	}
}

// creationFailure says why no more pods of a workload can be created.
func (d *diagnosis) creationFailure(ctx context.Context, w *workloadCase) {
	message := forbiddenPod.ReplaceAllString(w.blocked, "")
	if strings.Contains(w.blocked, "admission webhook ") {
		message = w.blocked[strings.Index(w.blocked, "admission webhook "):]
	}
	f := Finding{Severity: critical, What: "pods cannot be created: " + abridge(message, 300)}
	switch {
	case strings.Contains(message, "exceeded quota"):
		f.Next = "the quota must be raised, something it counts freed, or less asked for"
		f.Evidence = d.quota(ctx, message)
	case strings.Contains(message, "failed quota"):
		f.Next = "the quota counts what the containers do not state: they must set it, or a LimitRange give a default"
		f.Evidence = d.quota(ctx, message)
	case strings.Contains(message, "service account"):
		f.Next = "create the ServiceAccount, or correct serviceAccountName"
		for i := range w.refs {
			if r := &w.refs[i]; r.kind == "ServiceAccount" && r.problem != "" {
				r.told = true
				f.What = "pods cannot be created: " + r.problem
			}
		}
	case strings.Contains(message, "violates PodSecurity"):
		f.Next = "the pod template must meet the namespace's pod-security.kubernetes.io/enforce level"
	case strings.Contains(message, "failed calling webhook"):
		f.Next = "the webhook's Service must answer, or its configuration go; k8s_cluster_health checks webhooks"
	case strings.Contains(message, "admission webhook"):
		f.Next = "the webhook refuses the template as it is: the template must meet its policy"
	case strings.Contains(message, "usage per ") || strings.Contains(message, "limit to request ratio"):
		f.Next = "the requests and limits must lie within the LimitRange"
		f.Evidence = d.limitRanges(ctx)
	}
	if w.available > 0 {
		f.Severity = warning
	}
	d.findings = append(d.findings, f)
}

// quota lists what the quota that a refusal names has used.
func (d *diagnosis) quota(ctx context.Context, message string) []string {
	name := quotaName.FindStringSubmatch(message)
	if name == nil {
		return nil
	}
	q, err := d.c.typed.CoreV1().ResourceQuotas(d.ns).Get(ctx, strings.TrimSpace(name[1]), metav1.GetOptions{})
	if err != nil {
		d.missedOut("resourcequota "+name[1], err)
		return nil
	}
	d.saw("resourcequotas", 1)
	var used []string
	for _, r := range resourceNames(q.Status.Hard) {
		hard, now := q.Status.Hard[r], q.Status.Used[r]
		used = append(used, fmt.Sprintf("%s %s of %s", r, now.String(), hard.String()))
	}
	return []string{"quota " + q.Name + " used: " + some(used, 8)}
}

// limitRanges lists what the namespace allows a container or pod.
func (d *diagnosis) limitRanges(ctx context.Context) []string {
	var out []string
	gather(ctx, &d.gathering, "limitranges", d.c.typed.CoreV1().LimitRanges(d.ns).List, metav1.ListOptions{}, func(l *corev1.LimitRange) {
		for _, item := range l.Spec.Limits {
			for _, r := range resourceNames(item.Max, item.Min) {
				lowest, highest := item.Min[r], item.Max[r]
				out = append(out, fmt.Sprintf("LimitRange %s: %s %s from %s to %s", l.Name, item.Type, r, lowest.String(), highest.String()))
			}
		}
	})
	return out[:min(6, len(out))]
}

// resourceNames lists the resources of all lists, sorted, each once.
func resourceNames(lists ...corev1.ResourceList) []corev1.ResourceName {
	var out []corev1.ResourceName
	for _, l := range lists {
		out = slices.AppendSeq(out, stdmaps.Keys(l))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
