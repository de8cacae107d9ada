{{/*
crib.remotemcpserver makes the server known to the controller that binds agents
to it, where there is one.
*/}}
{{- define "crib.remotemcpserver" }}
{{- $v := .Values.remoteMCPServer }}
{{- $served := .Capabilities.APIVersions.Has "kagent.dev/v1alpha2/RemoteMCPServer" }}
{{- if ternary $served $v.enabled (eq (toString $v.enabled) "auto") }}
{{- $name := .Own.remoteMCPServer.name | default .Name }}
---
apiVersion: kagent.dev/v1alpha2
kind: RemoteMCPServer
metadata:
  name: {{ toYaml $name }}
  namespace: {{ toYaml .Release.Namespace }}
  labels:
    {{- include "crib.labels" . | nindent 4 }}
  annotations:
    toolcrib.dev/access: {{ .Access }}
    toolcrib.dev/audience: {{ include "crib.audience" . | quote }}
    {{- with .Values.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  description: {{ printf "%s Its %s tools." .Chart.Description .Access | quote }}
  url: http://{{ include "crib.host" . }}:8080/mcp
  protocol: STREAMABLE_HTTP
  {{- with $v.timeout }}
  timeout: {{ . }}
  {{- end }}
  {{- with $v.headersFrom }}
  headersFrom:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with $v.allowedNamespaces }}
  allowedNamespaces:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
