{{/*
crib.identity is who the server is, and its right to ask who a caller is and
what that caller may call. system:auth-delegator is the cluster's own role for
just these two questions.
*/}}
{{- define "crib.identity" }}
---
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "crib.metadata" (list . .Name .Release.Namespace) | nindent 2 }}
automountServiceAccountToken: false
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  {{- include "crib.metadata" (list . (include "crib.clustername" . | printf "%s:locks") "") | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: system:auth-delegator
subjects:
  {{- include "crib.itself" . | nindent 2 }}
{{- if eq .Access "write" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  {{- include "crib.metadata" (list . (printf "%s-approvals" .Name) .Release.Namespace) | nindent 2 }}
rules:
  - apiGroups: [toolcrib.dev]
    resources: [approvals]
    verbs: [list, create, consume]
  - apiGroups: [toolcrib.dev]
    resources: [approvals/status]
    verbs: [update]
{{- include "crib.binding" (list . "Role" (printf "%s-approvals" .Name) .Release.Namespace (include "crib.itself" .)) }}
{{- end }}
{{- end }}

{{- define "crib.itself" -}}
- kind: ServiceAccount
  name: {{ .Name }}
  namespace: {{ toYaml .Release.Namespace }}
{{- end }}

{{/*
crib.binding binds a role to subjects under the role's own name. It takes a
list: the server, the kind of role, its name, the namespace, "" for the whole
cluster, and the subjects.
*/}}
{{- define "crib.binding" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ index . 1 }}Binding
metadata:
  {{- include "crib.metadata" (list (index . 0) (index . 2) (index . 3)) | nindent 2 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ index . 1 }}
  name: {{ index . 2 }}
subjects:
  {{- index . 4 | nindent 2 }}
{{- end }}
