package kubernetes

import (
	"context"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// job diagnoses a job: why it failed, or why it does not come to an end.
func (d *diagnosis) job(ctx context.Context, j *batchv1.Job) {
	w := &workloadCase{kind: "Job", meta: &j.ObjectMeta, selector: j.Spec.Selector, template: &j.Spec.Template, desired: replicas(j.Spec.Parallelism)}
	d.state = jobState(j)
	if c := jobCondition(j, batchv1.JobFailed); c != nil {
		d.jobFailed(j, c)
	}
	if c := jobCondition(j, batchv1.JobComplete); c != nil {
		d.state += fmt.Sprintf(", done %s ago", age(c.LastTransitionTime.Time, d.now))
		d.eventsOf(ctx, j)
		return
	}
	if j.Spec.Suspend != nil && *j.Spec.Suspend {
		d.find(info, "it is suspended: no pod runs until it is resumed", "")
		d.verdict = "idle"
	}
	if owner := metav1.GetControllerOf(j); owner != nil && len(d.chain) == 0 {
		d.chain = append(d.chain, owner.Kind+" "+owner.Name+" > Job "+j.Name)
	}
	d.run(ctx, w)
	d.events.tell("Job/"+j.Name, batchv1.JobReasonBackoffLimitExceeded, batchv1.JobReasonDeadlineExceeded)
}

func jobState(j *batchv1.Job) string {
	state := fmt.Sprintf("%d of %d completions, %d failed, %d active", j.Status.Succeeded, replicas(j.Spec.Completions), j.Status.Failed, j.Status.Active)
	if j.Status.StartTime != nil {
		state += ", started " + j.Status.StartTime.UTC().Format("2006-01-02T15:04:05Z")
	}
	return state
}

func jobCondition(j *batchv1.Job, t batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range j.Status.Conditions {
		if c := &j.Status.Conditions[i]; c.Type == t && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// jobFailed says what made the job give up.
func (d *diagnosis) jobFailed(j *batchv1.Job, c *batchv1.JobCondition) {
	what := fmt.Sprintf("the job failed %s ago: %s", age(c.LastTransitionTime.Time, d.now), c.Reason)
	next := "a failed job stays failed: put the cause right and create the job anew"
	switch c.Reason {
	case batchv1.JobReasonBackoffLimitExceeded:
		what += fmt.Sprintf(" (%s, backoffLimit %d)", plural(int(j.Status.Failed), "failed pod"), replicasOr(j.Spec.BackoffLimit, 6))
	case batchv1.JobReasonDeadlineExceeded:
		if j.Spec.ActiveDeadlineSeconds != nil {
			what += fmt.Sprintf(" (activeDeadlineSeconds %d)", *j.Spec.ActiveDeadlineSeconds)
		}
	}
	d.find(critical, what, next, lines(abridge(c.Message, 300))...)
}

func replicasOr(n *int32, fallback int32) int32 {
	if n == nil {
		return fallback
	}
	return *n
}

// cronJob diagnoses a cron job by its schedule and by its newest jobs.
func (d *diagnosis) cronJob(ctx context.Context, cron *batchv1.CronJob) {
	var newest *batchv1.Job
	failed, total := 0, 0
	d.together(ctx,
		func(ctx context.Context) { d.eventsOf(ctx, cron) },
		func(ctx context.Context) {
			gather(ctx, &d.gathering, "jobs", d.c.typed.BatchV1().Jobs(d.ns).List, metav1.ListOptions{}, func(j *batchv1.Job) {
				if !metav1.IsControlledBy(j, cron) {
					return
				}
				total++
				if jobCondition(j, batchv1.JobFailed) != nil {
					failed++
				}
				if newest == nil || newest.CreationTimestamp.Before(&j.CreationTimestamp) {
					newest = j.DeepCopy()
				}
			})
		})
	d.schedule(cron, total, failed)
	if newest == nil {
		return
	}
	d.chain = append(d.chain, fmt.Sprintf("CronJob %s > Job %s (newest, %s)", cron.Name, newest.Name, jobState(newest)))
	d.managed(&cron.ObjectMeta)
	state, verdict := d.state, d.verdict
	d.job(ctx, newest)
	d.state, d.verdict = state, verdict
}

// schedule says when a cron job ran, and what keeps it from running.
func (d *diagnosis) schedule(cron *batchv1.CronJob, total, failed int) {
	d.state = fmt.Sprintf("schedule %q, last started %s, last succeeded %s, %d of %s kept failed",
		cron.Spec.Schedule, agoOrNever(d, cron.Status.LastScheduleTime), agoOrNever(d, cron.Status.LastSuccessfulTime), failed, plural(total, "job"))
	object := "CronJob/" + cron.Name
	if cron.Spec.Suspend != nil && *cron.Spec.Suspend {
		d.find(info, "it is suspended: it starts no jobs until it is resumed", "")
		d.verdict = "idle"
	}
	if cron.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent && len(cron.Status.Active) > 0 {
		d.find(info, fmt.Sprintf("job %s still runs; with concurrencyPolicy Forbid no other starts until it ends", cron.Status.Active[0].Name), "")
	}
	for reason, what := range map[string]string{
		"UnparseableSchedule": "its schedule cannot be read", "InvalidSchedule": "its schedule cannot be read", "UnknownTimeZone": "its time zone is unknown",
		"TooManyMissedTimes": "it missed so many start times that it starts no more", "MissSchedule": "it missed a start time", "FailedCreate": "its job cannot be created",
	} {
		if e := d.events.find(object, "", reason); e != nil {
			severity := critical
			if reason == "MissSchedule" {
				severity = warning
			}
			d.find(severity, what, "", d.events.quote(e))
		}
	}
}

func agoOrNever(d *diagnosis, t *metav1.Time) string {
	if t == nil {
		return "never"
	}
	return strings.TrimSpace(age(t.Time, d.now)) + " ago"
}
