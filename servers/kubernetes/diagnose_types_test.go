package kubernetes

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestDiagnoseUnschedulable(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, lonePod("big", "", `resources: {requests: {cpu: '640'}}`)+lonePod("picky", `nodeSelector: {disktype: ssd},`, ""))

	_, f := diagnosed(t, s, ns, "pod", "big", "cannot be scheduled: ")
	require.Equal(t, critical, f.Severity)
	require.Contains(t, f.What, "Insufficient cpu")
	require.Contains(t, strings.Join(f.Evidence, "\n"), "the pod requests cpu 640; node ")
	require.Contains(t, f.Next, "the pod must request less, or a node have more to give")

	_, f = diagnosed(t, s, ns, "pod", "picky", "no node matches its node selector or affinity")
	require.Contains(t, strings.Join(f.Evidence, "\n"), "the pod asks for node label disktype = ssd; nodes have: none")
}

// A node without a kubelet takes no pod but stands for one that was tainted and
// cordoned: the label keeps everything else away from it.
func TestDiagnoseTaintedAndCordonedNode(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	nodes := testClients(t).typed.CoreV1().Nodes()
	t.Cleanup(func() { _ = nodes.Delete(context.Background(), ns, metav1.DeleteOptions{}) })
	apply(t, ns, `{apiVersion: v1, kind: Node, metadata: {name: `+ns+`, labels: {pool: `+ns+`}}, spec: {unschedulable: true, taints: [
  {key: dedicated, value: `+ns+`, effect: NoSchedule}, {key: node.kubernetes.io/unschedulable, effect: NoSchedule}]}}
---
`+lonePod("picky", `nodeSelector: {pool: `+ns+`},`, ""))
	_, f := diagnosed(t, s, ns, "pod", "picky", "cannot be scheduled: ")
	evidence := strings.Join(f.Evidence, "\n")
	require.Contains(t, evidence, "taint dedicated="+ns+":NoSchedule, which the pod does not tolerate, is on 1 node: "+ns)
	require.Contains(t, evidence, ns+" (by test at 20")

	out, f := diagnosed(t, s, "", "node", ns, "node "+ns+" is cordoned (by test at 20")
	require.Equal(t, warning, f.Severity)
	_, f = diagnosed(t, s, "", "node", ns, "node "+ns+" has taint dedicated="+ns+":NoSchedule")
	require.Equal(t, info, f.Severity)
	require.NotContains(t, out.Verdict, "healthy")
}

func TestDiagnoseClaims(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	const claim = `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: NAME}, spec: {accessModes: [ReadWriteOnce], CLASS resources: {requests: {storage: 1Gi}}}}
---
`
	named := func(name, class string) string {
		return strings.NewReplacer("NAME", name, "CLASS", class).Replace(claim)
	}
	class := ns + "-waits"
	t.Cleanup(func() {
		_ = testClients(t).typed.StorageV1().StorageClasses().Delete(context.Background(), class, metav1.DeleteOptions{})
	})
	apply(t, ns, `{apiVersion: storage.k8s.io/v1, kind: StorageClass, metadata: {name: `+class+`}, provisioner: csi.example.com, volumeBindingMode: WaitForFirstConsumer}
---
`+named("typo", "storageClassName: "+ns+"-wait,")+named("waits", "storageClassName: "+class+",")+named("byhand", "storageClassName: '',")+
		lonePod("user", `volumes: [{name: data, persistentVolumeClaim: {claimName: typo}}],`, `volumeMounts: [{name: data, mountPath: /data}]`))

	out, f := diagnosed(t, s, ns, "pvc", "typo", `storage class "`+ns+`-wait" does not exist`)
	require.Contains(t, f.Evidence[0], "nearest: "+class)
	require.Equal(t, []string{"used by pods: user"}, out.Chain)
	require.Equal(t, "broken: Pending", out.Verdict)
	_, f = diagnosed(t, s, ns, "pvc", "waits", `class "`+class+`" waits for the first pod that uses the claim (WaitForFirstConsumer), and none has been scheduled`)
	require.Equal(t, info, f.Severity)
	_, f = diagnosed(t, s, ns, "pvc", "byhand", `it asks for no storage class ("")`)
	require.Contains(t, f.Evidence, "asks for 1Gi, ReadWriteOnce")
	_, f = diagnosed(t, s, ns, "pod", "user", "cannot be scheduled: ")
	require.Contains(t, f.Evidence, `PVC typo is Pending: storage class "`+ns+`-wait" does not exist`)
}

func TestDiagnoseServiceSelectorThatMatchesNothing(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, deployed("checkout", 1, sleeps+`, ports: [{name: http, containerPort: 80}]`)+
		`{apiVersion: v1, kind: Service, metadata: {name: typo}, spec: {selector: {app: chekout}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: port}, spec: {selector: {app: checkout}, ports: [{port: 80, targetPort: web}]}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: shop}, spec: {rules: [{host: shop.test, http: {paths: [
  {path: /, pathType: Prefix, backend: {service: {name: typo, port: {number: 81}}}},
  {path: /pay, pathType: Prefix, backend: {service: {name: tipo, port: {number: 80}}}}]}}]}}
`)
	var out DiagnoseOut
	var f Finding
	within(t, "the deployment has made its pod", func() bool {
		out, f = diagnosed(t, s, ns, "service", "typo", "its selector app=chekout matches no pod")
		return len(f.Evidence) > 0
	})
	require.Equal(t, critical, f.Severity)
	require.Equal(t, []string{"nearest: Deployment checkout has app=checkout"}, f.Evidence)
	require.Contains(t, out.Verdict, "broken: 0 ready endpoints")

	_, f = diagnosed(t, s, ns, "deploy", "checkout", "Service typo selects app=chekout and has no endpoints; the pods here have app=checkout")
	require.Equal(t, warning, f.Severity)

	_, f = diagnosed(t, s, ns, "service", "port", `port 80 goes to target port "web", which no container of its pods names`)
	require.Equal(t, []string{"ports the pods name: http"}, f.Evidence)

	diagnosed(t, s, ns, "ingress", "shop", "shop.test/ goes to port 81 of Service typo, which it does not have")
	diagnosed(t, s, ns, "ingress", "shop", "shop.test/ goes to Service typo, which has no ready endpoints")
	diagnosed(t, s, ns, "ingress", "shop", `shop.test/pay goes to Service "tipo", which does not exist (there is typo)`)
}

func TestDiagnoseFailedJob(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {backoffLimit: 0, template: {spec: {restartPolicy: Never, containers: [
  {name: main, image: 'toolcrib.test/busybox:1', command: [sh, -c, 'echo "ERROR: relation users does not exist"; exit 2']}]}}}}`)
	out, f := diagnosed(t, s, ns, "job", "migrate", "the job failed ")
	require.Contains(t, f.What, "BackoffLimitExceeded (1 failed pod, backoffLimit 0)")
	require.Contains(t, out.Verdict, "broken: 0 of 1 completions, 1 failed, 0 active")
	_, f = diagnosed(t, s, ns, "job", "migrate", "1 of 1 pod: container main crashes: exit 2")
	require.Contains(t, f.Evidence, "log: ERROR: relation users does not exist")
}

func TestDiagnoseCronJob(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: batch/v1, kind: CronJob, metadata: {name: nightly}, spec: {schedule: '0 3 * * *', suspend: true, jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: main, image: 'toolcrib.test/busybox:1'}]}}}}}}`)
	jobs := testClients(t).typed.BatchV1()
	cron, err := jobs.CronJobs(ns).Get(t.Context(), "nightly", metav1.GetOptions{})
	require.NoError(t, err)
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "nightly-1", OwnerReferences: []metav1.OwnerReference{*metav1.NewControllerRef(cron, batchv1.SchemeGroupVersion.WithKind("CronJob"))}}, Spec: cron.Spec.JobTemplate.Spec}
	job.Spec.BackoffLimit = new(int32(0))
	job.Spec.Template.Spec.Containers[0].Command = []string{"sh", "-c", "echo no route to backup; exit 9"}
	_, err = jobs.Jobs(ns).Create(t.Context(), job, metav1.CreateOptions{})
	require.NoError(t, err)
	out, f := diagnosed(t, s, ns, "cronjob", "nightly", "container main crashes: exit 9")
	require.Contains(t, f.Evidence, "log: no route to backup")
	require.Contains(t, out.Verdict, `schedule "0 3 * * *", last started never`)
	diagnosed(t, s, ns, "cronjob", "nightly", "it is suspended: it starts no jobs until it is resumed")
	require.Contains(t, out.Chain[0], "CronJob nightly > Job nightly-1")
}

// counting waits until a quota has begun to count, before which it holds up nothing.
func counting(t testing.TB, ns, quota string) {
	t.Helper()
	within(t, "the quota counts", func() bool {
		q, err := testClients(t).typed.CoreV1().ResourceQuotas(ns).Get(t.Context(), quota, metav1.GetOptions{})
		return err == nil && len(q.Status.Hard) == 1
	})
}

func TestDiagnosePodsThatCannotBeCreated(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ResourceQuota, metadata: {name: small}, spec: {hard: {pods: '1'}}}
---
{apiVersion: v1, kind: LimitRange, metadata: {name: sizes}, spec: {limits: [{type: Container, max: {memory: 64Mi}}]}}
`)
	counting(t, ns, "small")
	apply(t, ns, deployed("web", 2, sleeps+`, resources: {limits: {memory: 16Mi}}`)+deployed("large", 1, sleeps+`, resources: {limits: {memory: 1Gi}}`))
	_, f := diagnosed(t, s, ns, "deploy", "web", "pods cannot be created: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1")
	require.Equal(t, []string{"quota small used: pods 1 of 1"}, f.Evidence)
	_, f = diagnosed(t, s, ns, "deploy", "large", "pods cannot be created: maximum memory usage per Container is 64Mi, but limit is 1Gi")
	require.Equal(t, []string{"LimitRange sizes: Container memory from 0 to 64Mi"}, f.Evidence)
	require.Equal(t, critical, f.Severity)
}

func TestDiagnoseStatefulSetAndDaemonSet(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: db}, spec: {serviceName: db, replicas: 2, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [
  {name: main, image: 'toolcrib.test/busybox:1', volumeMounts: [{name: data, mountPath: /data}]}]}},
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], storageClassName: fast, resources: {requests: {storage: 1Gi}}}}]}}
---
{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: agent}, spec: {selector: {matchLabels: {app: agent}}, template: {metadata: {labels: {app: agent}}, spec: {terminationGracePeriodSeconds: 0,
  nodeSelector: {kubernetes.io/hostname: `+onlyNode(t).Name+`}, containers: [{name: main, image: 'toolcrib.test/busybox:1', command: [sh, -c, nosuchprogram]}]}}}}
`)
	out, f := diagnosed(t, s, ns, "sts", "db", "1 of 1 pod: cannot be scheduled: ")
	require.Contains(t, f.Evidence, `PVC data-db-0 is Pending: storage class "fast" does not exist`)
	require.Equal(t, "broken: 0 of 2 replicas ready", out.Verdict)
	_, f = diagnosed(t, s, ns, "ds", "agent", "1 of 1 pod: container main crashes: exit 127")
	require.Contains(t, strings.Join(f.Evidence, "\n"), "the shell found no such command")
	require.Contains(t, f.Evidence, "log: sh: nosuchprogram: not found")
}

func TestDiagnoseAutoscalerWithoutTarget(t *testing.T) {
	t.Parallel()
	s, ns := reading(t), namespace(t)
	apply(t, ns, `{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}, maxReplicas: 3}}`)
	out, f := diagnosed(t, s, ns, "hpa", "web", `its target Deployment "web" does not exist`)
	require.Equal(t, critical, f.Severity)
	require.Contains(t, out.Chain, "scales Deployment web")
}

func TestDiagnoseJudgesOtherTypesByTheirConditions(t *testing.T) {
	t.Parallel()
	s := reading(t)
	var out DiagnoseOut
	s.Call("k8s_diagnose", map[string]any{"resource_type": "apiservice", "resource_name": "v1."}).Into(t, &out)
	require.Equal(t, "healthy: judged by 1 condition of its status", out.Verdict)
	ns := namespace(t)
	apply(t, ns, `{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}}`)
	s.Call("k8s_diagnose", map[string]any{"resource_type": "cm", "resource_name": "settings", "namespace": ns}).Into(t, &out)
	require.Equal(t, "not judged: its status has no conditions; only its events were looked at", out.Verdict)
}
