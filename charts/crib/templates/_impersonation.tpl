{{/* crib.asCaller is true if the server asks the cluster as its callers. */}}
{{- define "crib.asCaller" -}}
{{ eq ((.Values.identity).mode | default "server") "caller" }}
{{- end }}

{{/*
crib.impersonation lets a server that asks the cluster as its callers do so, by
name: it holds no other right there. The agent, the run and the call go along
for the audit log.
*/}}
{{- define "crib.impersonation" }}
{{- $users := .Values.identity.users }}
{{- $accounts := dict }}
{{- range .Own.callers }}
{{- if eq .kind "User" }}
{{- $users = append $users .name }}
{{- else if eq .kind "ServiceAccount" }}
{{- $_ := set $accounts .namespace (append (get $accounts .namespace | default list) .name) }}
{{- end }}
{{- end }}
{{- $name := include "crib.clustername" . | printf "%s:callers" }}
{{- $itself := include "crib.itself" . }}
{{- $audit := list "userextras/toolcrib.dev/agent" "userextras/toolcrib.dev/call" "userextras/toolcrib.dev/run" }}
{{- $rules := list (dict "apiGroups" (list "authentication.k8s.io") "resources" $audit "verbs" (list "impersonate")) }}
{{- range $key, $values := .Values.identity.extras }}
{{- $rules = append $rules (include "crib.impersonate" (list "authentication.k8s.io" (printf "userextras/%s" $key) $values) | fromJson) }}
{{- end }}
{{- range $kind, $names := dict "users" $users "groups" .Values.identity.groups }}
{{- if $names }}
{{- $rules = append $rules (include "crib.impersonate" (list "" $kind $names) | fromJson) }}
{{- end }}
{{- end }}
{{- include "crib.role" (list . "ClusterRole" $name "" $rules) }}
{{- include "crib.binding" (list . "ClusterRole" $name "" $itself) }}
{{- range $namespace, $names := $accounts }}
{{- include "crib.role" (list $ "Role" $name $namespace (list (include "crib.impersonate" (list "" "serviceaccounts" $names) | fromJson))) }}
{{- include "crib.binding" (list $ "Role" $name $namespace $itself) }}
{{- end }}
{{- end }}

{{/* crib.impersonate is one rule. It takes a list: the API group, the resource and the names. */}}
{{- define "crib.impersonate" -}}
{{ dict "apiGroups" (list (index . 0)) "resources" (list (index . 1)) "verbs" (list "impersonate") "resourceNames" (uniq (index . 2)) | toJson }}
{{- end }}
