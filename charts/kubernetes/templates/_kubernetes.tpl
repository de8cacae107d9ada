{{- define "kubernetes.tools" -}}
{{ .Access }}{{ if and (eq .Access "write") .Values.allowedURLHosts }}-from-url{{ end }}
{{- end }}

{{- define "kubernetes.args" }}
{{- if eq .Access "write" }}
{{- with .Values.allowedURLHosts }}
- --allowed-url-hosts={{ join "," . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "kubernetes.mounts" }}{{ end }}
{{- define "kubernetes.volumes" }}{{ end }}

{{/* Manifests are fetched over https; a host may name another port. */}}
{{- define "kubernetes.egress" -}}
{{- if eq .Access "write" }}
{{- $ports := list }}
{{- range .Values.allowedURLHosts }}
{{- $ports = append $ports (printf "https://%s" . | include "crib.port" | int) }}
{{- end }}
{{- uniq $ports | toYaml }}
{{- end }}
{{- end }}
