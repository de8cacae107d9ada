{{/*
crib.rules grants what the tools need: in the whole cluster, or in each of the
namespaces alone. There, what belongs to no namespace is left out, for a Role
cannot grant it; the notes say which tools miss it.
*/}}
{{- define "crib.rules" }}
{{- $name := include "crib.clustername" . }}
{{- $itself := include "crib.itself" . }}
{{- $extra := get (.Values.rbac | default dict) (ternary "writeExtraRules" "extraRules" (eq .Access "write")) | default list }}
{{- $rules := concat .Tools.rules (ternary list .Tools.clusterRules (not (empty .Namespaces))) $extra }}
{{- if eq (include "crib.asCaller" .) "true" }}
{{- include "crib.impersonation" . }}
{{- else if and $rules .Namespaces }}
{{- range $namespace := .Namespaces }}
{{- include "crib.role" (list $ "Role" $name $namespace $rules) }}
{{- include "crib.binding" (list $ "Role" $name $namespace $itself) }}
{{- end }}
{{- else if $rules }}
{{- include "crib.role" (list . "ClusterRole" $name "" $rules) }}
{{- include "crib.binding" (list . "ClusterRole" $name "" $itself) }}
{{- end }}
{{- end }}

{{/* crib.role takes a list: the server, the kind of role, its name, the namespace or "", and the rules. */}}
{{- define "crib.role" }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ index . 1 }}
metadata:
  {{- include "crib.metadata" (list (index . 0) (index . 2) (index . 3)) | nindent 2 }}
rules:
  {{- toYaml (index . 4) | nindent 2 }}
{{- end }}
