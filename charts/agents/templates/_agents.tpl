{{- define "agents.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ toYaml .Release.Name }}
app.kubernetes.io/part-of: toolcrib
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* agents.metadata takes a list: the release, the name and the namespace. */}}
{{- define "agents.metadata" -}}
{{- $top := index . 0 -}}
name: {{ index . 1 | toYaml }}
namespace: {{ index . 2 | toYaml }}
labels:
  {{- include "agents.labels" $top | nindent 2 }}
{{- with $top.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "agents.serversNamespace" -}}
{{ .Values.servers.namespace | default .Release.Namespace }}
{{- end }}

{{/* agents.all are the agents that there are, as one object by name. */}}
{{- define "agents.all" -}}
{{- $all := dict }}
{{- range $path, $_ := .Files.Glob "agents/*.yaml" }}
{{- $name := base $path | trimSuffix ".yaml" }}
{{- if (get $.Values $name).enabled }}
{{- $_ := set $all $name ($.Files.Get $path | fromYaml) }}
{{- end }}
{{- end }}
{{- range $name, $agent := .Values.custom }}
{{- if hasKey $all $name }}
{{- fail (printf "custom.%s has the name of an agent of this chart: choose another, or set %s.enabled=false" $name $name) }}
{{- end }}
{{- $_ := set $all $name $agent }}
{{- end }}
{{- toJson $all }}
{{- end }}

{{/*
agents.shelves are the tools that an agent takes, a list of {server, tools}. It
takes a list: the release and the agent.
*/}}
{{- define "agents.shelves" -}}
{{- $top := index . 0 }}
{{- $shelves := list }}
{{- range $system, $tools := (index . 1).tools }}
{{- $servers := get $top.Values.servers $system }}
{{- if not (kindIs "map" $servers) }}
{{- fail (printf "an agent takes tools of %s, of which servers says nothing: add servers.%s={read: NAME, write: NAME}" $system $system) }}
{{- end }}
{{- range $access := list "read" "write" }}
{{- if and (get $servers $access) (get $tools $access) }}
{{- $shelves = append $shelves (dict "server" (get $servers $access) "tools" (get $tools $access)) }}
{{- end }}
{{- end }}
{{- end }}
{{- toJson $shelves }}
{{- end }}
