{{- define "library.labels" -}}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
