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
{{- $extras := list }}
{{- range concat (list "toolcrib.dev/agent" "toolcrib.dev/run" "toolcrib.dev/call") .Values.identity.extras }}
{{- $extras = append $extras (printf "userextras/%s" .) }}
{{- end }}
{{- $rules := list (dict "apiGroups" (list "authentication.k8s.io") "resources" $extras "verbs" (list "impersonate")) }}
{{- range $kind, $names := dict "users" $users "groups" .Values.identity.groups }}
{{- if $names }}
{{- $rules = append $rules (dict "apiGroups" (list "") "resources" (list $kind) "verbs" (list "impersonate") "resourceNames" (uniq $names)) }}
{{- end }}
{{- end }}
{{- include "crib.role" (list . "ClusterRole" $name "" $rules) }}
{{- include "crib.binding" (list . "ClusterRole" $name "" $itself) }}
{{- range $namespace, $names := $accounts }}
{{- include "crib.role" (list $ "Role" $name $namespace (list (dict "apiGroups" (list "") "resources" (list "serviceaccounts") "verbs" (list "impersonate") "resourceNames" (uniq $names)))) }}
{{- include "crib.binding" (list $ "Role" $name $namespace $itself) }}
{{- end }}
{{- end }}
