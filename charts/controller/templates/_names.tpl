{{- define "controller.selector" -}}
app.kubernetes.io/name: toolcrib-controller
app.kubernetes.io/instance: {{ toYaml .Release.Name }}
{{- end }}

{{- define "controller.labels" -}}
{{ include "controller.selector" . }}
app.kubernetes.io/part-of: toolcrib
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | trunc 63 | trimAll "-_." | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
controller.metadata takes a list: the release, and the namespace or "" for none.
There is one controller in a cluster, so all that is its own has its name.
*/}}
{{- define "controller.metadata" -}}
{{- $top := index . 0 -}}
name: toolcrib-controller
{{- with index . 1 }}
namespace: {{ toYaml . }}
{{- end }}
labels:
  {{- include "controller.labels" $top | nindent 2 }}
{{- with $top.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* controller.image takes a list: the release and one of its images. */}}
{{- define "controller.image" -}}
{{- $top := index . 0 -}}
{{- with index . 1 }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (.tag | default $top.Chart.AppVersion) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "controller.itself" -}}
- kind: ServiceAccount
  name: toolcrib-controller
  namespace: {{ toYaml .Release.Namespace }}
{{- end }}
