{{- define "prometheus.tools" -}}
{{ .Access }}{{ if and (eq .Access "read") (eq .Values.names "kagent") }}-kagent{{ end }}
{{- end }}

{{- define "prometheus.args" }}
{{- range $backend := list "prometheus" "alertmanager" }}
{{- with get $.Values $backend }}
{{- if .url }}
{{- include "crib.bare" (list (printf "%s.url" $backend) .url (printf "the Secret of %s.httpConfigSecret" $backend)) }}
- --{{ $backend }}-url={{ .url }}
{{- end }}
{{- if .httpConfigSecret }}
- --{{ $backend }}-http-config=/etc/toolcrib/{{ $backend }}/http.yaml
{{- end }}
{{- end }}
{{- end }}
{{- if eq .Access "write" }}
- --max-silence={{ .Values.maxSilence }}
{{- end }}
- --names={{ .Values.names }}
{{- end }}

{{- define "prometheus.mounts" }}
{{- range $backend := list "prometheus" "alertmanager" }}
{{- if (get $.Values $backend).httpConfigSecret }}
- name: {{ $backend }}
  mountPath: /etc/toolcrib/{{ $backend }}
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{- define "prometheus.volumes" }}
{{- range $backend := list "prometheus" "alertmanager" }}
{{- with (get $.Values $backend).httpConfigSecret }}
- name: {{ $backend }}
  secret:
    secretName: {{ toYaml . }}
    defaultMode: 0440
{{- end }}
{{- end }}
{{- end }}

{{- define "prometheus.egress" -}}
{{- $ports := list }}
{{- range $url := list .Values.prometheus.url .Values.alertmanager.url }}
{{- with $url }}
{{- $ports = append $ports (include "crib.port" . | int) }}
{{- end }}
{{- end }}
{{- uniq $ports | toYaml }}
{{- end }}
