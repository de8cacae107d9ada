package helm

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// manyKinds are objects as charts write them: empty fields, quantities and
// ports in odd forms, lists in odd orders, old versions of their groups.
const manyKinds = `
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, namespace: NS, labels: {app: db}, annotations: {}}
spec:
  serviceName: db
  replicas: 0
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}, creationTimestamp: null}
    spec:
      nodeSelector: {}
      tolerations: []
      affinity: null
      imagePullSecrets: []
      hostNetwork: false
      priorityClassName: ""
      volumes: [{name: cfg, configMap: {name: cfg, defaultMode: 0644}}, {name: tmp, emptyDir: {sizeLimit: 1024Mi}}]
      containers:
      - name: db
        image: toolcrib.test/busybox:1
        args: []
        ports: [{containerPort: 53, protocol: UDP, name: dns}, {containerPort: 53, name: dns-tcp}]
        env: [{name: B, value: ""}, {name: A, value: "1"}]
        resources: {requests: {cpu: 0.5, memory: 1024Mi}, limits: {cpu: "1000m", memory: 1Gi}}
        livenessProbe: {tcpSocket: {port: dns-tcp}, initialDelaySeconds: 0}
  volumeClaimTemplates:
  - metadata: {name: data}
    spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1024Mi}}}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: NS}
spec: {clusterIP: None, selector: {app: db}, ports: [{port: 53, targetPort: 53, protocol: UDP, name: dns}, {port: 53, name: dns-tcp, targetPort: dns-tcp}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: db, namespace: NS}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: db}
  minReplicas: 1
  maxReplicas: 3
  metrics: [{type: Resource, resource: {name: memory, target: {type: Utilization, averageUtilization: 80}}}, {type: Resource, resource: {name: cpu, target: {type: AverageValue, averageValue: 0.5}}}]
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: db, namespace: NS}
spec: {rules: [{host: a.test, http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: db, port: {number: 53}}}}]}}], tls: []}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: NS}
spec: {podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {a: b}}}, {namespaceSelector: {}}], ports: [{port: 53}]}], policyTypes: [Ingress]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly, namespace: NS}
spec: {schedule: "0 3 * * *", jobTemplate: {spec: {template: {spec: {restartPolicy: Never, serviceAccountName: db, containers: [{name: a, image: toolcrib.test/busybox:1, command: [date]}]}}}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: db, namespace: NS}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list]}, {apiGroups: [apps], resources: [deployments], resourceNames: [], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: db, namespace: NS}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: db}
subjects: [{kind: ServiceAccount, name: db, namespace: NS}]
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ServiceAccount, metadata: {name: db, namespace: NS}, automountServiceAccountToken: false}
- {apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: extra, namespace: NS}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 0.5Gi}}}}
---
apiVersion: v1
kind: Secret
metadata: {name: keys, namespace: NS}
type: Opaque
data: {a: "eHh4"}
stringData: {b: "two\nlines"}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg, namespace: NS}
data: {a: "1\n2\n3"}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: db, namespace: NS}
spec: {minAvailable: 50%, selector: {matchLabels: {app: db}}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: most, namespace: NS}
spec: {hard: {requests.cpu: "4000m", pods: 20}}
`

func TestCheckDriftDoesNotMistakeTheClustersWaysForDrift(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	manifest := strings.ReplaceAll(manyKinds, "NS", ns)
	require.NoError(t, cluster().Apply(t.Context(), []byte(manifest)))
	raw, err := json.Marshal(map[string]any{"info": map[string]any{}, "manifest": manifest, "chart": map[string]any{"metadata": map[string]any{"name": "many"}}})
	require.NoError(t, err)
	plant(t, ns, "many", 1, "deployed", time.Now(), inGzip(t, raw))
	s := reading(t)
	var out CheckDriftOut
	a := s.Call("helm_check_drift", map[string]any{"name": "many", "namespace": ns})
	a.Into(t, &out)
	require.Nil(t, out.Drift, a.Text)
	for _, f := range out.Findings {
		require.NotContains(t, f, "missing")
		require.NotContains(t, f, "not looked at")
	}

	text, err := cluster().Kubectl(t.Context(), "-n", ns, "patch", "configmap", "cfg", "-p", `{"data":{"a":"1\n2\nthree"}}`)
	require.NoError(t, err, string(text))
	out = CheckDriftOut{}
	s.Call("helm_check_drift", map[string]any{"name": "many", "namespace": ns, "resource_type": "ConfigMap"}).Into(t, &out)
	require.Equal(t, []string{"ConfigMap/cfg", "data.a", "line 3: 3", "line 3: three"}, out.Drift.Rows[0][:4])
}
