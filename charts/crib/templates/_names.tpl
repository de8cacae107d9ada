{{/* The longest name of all is that of the write server, which must fit a label. */}}
{{- define "crib.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride }}
{{- else if contains .Chart.Name .Release.Name }}
{{- .Release.Name | trunc 57 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 57 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Names of what belongs to no namespace tell releases of the same name apart. */}}
{{- define "crib.clustername" -}}
toolcrib:{{ .Release.Namespace }}:{{ .Name }}
{{- end }}

{{- define "crib.host" -}}
{{ .Name }}.{{ .Release.Namespace }}.svc
{{- end }}

{{- define "crib.audience" -}}
{{ .Own.audience | default (and (eq .Values.auth.mode "oidc") .Own.resourceURL) | default (include "crib.host" .) }}
{{- end }}

{{- define "crib.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-mcp
app.kubernetes.io/instance: {{ toYaml .Release.Name }}
app.kubernetes.io/component: {{ .Access }}
{{- end }}

{{- define "crib.labels" -}}
app.kubernetes.io/name: {{ .Chart.Name }}-mcp
app.kubernetes.io/instance: {{ toYaml .Release.Name }}
{{- with .Access }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/part-of: toolcrib
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* crib.metadata takes a list: the server, the name, and the namespace or "" for none. */}}
{{- define "crib.metadata" -}}
{{- $server := index . 0 -}}
name: {{ index . 1 }}
{{- with index . 2 }}
namespace: {{ toYaml . }}
{{- end }}
labels:
  {{- include "crib.labels" $server | nindent 2 }}
{{- with $server.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "crib.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (.tag | default $.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}
