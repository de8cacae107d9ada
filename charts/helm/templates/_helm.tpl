{{- define "helm.tools" -}}
{{ .Access }}{{ if and (eq .Access "write") .Values.allowedRepositoryHosts }}-repo-add{{ end }}
{{- end }}

{{- define "helm.args" }}
- --cache-dir=/var/cache/toolcrib
{{- if include "helm.repositories" . }}
- --repositories=/etc/toolcrib/repositories/repositories.yaml
{{- end }}
{{- if .Values.registrySecret }}
- --registry-config=/etc/toolcrib/registry/config.json
{{- end }}
{{- if .Values.chartVolume }}
- --chart-dir=/etc/toolcrib/charts
{{- end }}
{{- if eq .Access "write" }}
{{- with .Values.allowedRepositoryHosts }}
- --allowed-repository-hosts={{ join "," . }}
{{- end }}
{{- end }}
{{- with .Values.tokenHosts }}
- --token-hosts={{ join "," . }}
{{- end }}
{{- with .Values.plainHTTPRegistries }}
- --plain-http-registries={{ join "," . }}
{{- end }}
- --download-timeout={{ .Values.downloadTimeout }}
{{- end }}

{{- define "helm.mounts" }}
- name: cache
  mountPath: /var/cache/toolcrib
{{- if include "helm.repositories" . }}
- name: repositories
  mountPath: /etc/toolcrib/repositories
  readOnly: {{ not (and .Values.repositoriesClaim (eq .Access "write")) }}
{{- end }}
{{- if .Values.registrySecret }}
- name: registry
  mountPath: /etc/toolcrib/registry
  readOnly: true
{{- end }}
{{- if .Values.chartVolume }}
- name: charts
  mountPath: /etc/toolcrib/charts
  readOnly: true
{{- end }}
{{- end }}

{{- define "helm.volumes" }}
- name: cache
  emptyDir:
    sizeLimit: {{ .Values.cacheSize }}
{{- with include "helm.repositories" . | trim }}
- name: repositories
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.registrySecret }}
- name: registry
  secret:
    secretName: {{ toYaml . }}
    defaultMode: 0440
{{- end }}
{{- with .Values.chartVolume }}
- name: charts
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* helm.repositories is the volume that holds repositories.yaml, if there is one. */}}
{{- define "helm.repositories" -}}
{{- if .Values.repositoriesClaim }}
persistentVolumeClaim:
  claimName: {{ toYaml .Values.repositoriesClaim }}
{{- else if .Values.repositoriesSecret }}
secret:
  secretName: {{ toYaml .Values.repositoriesSecret }}
  defaultMode: 0440
{{- else if .Values.repositories }}
configMap:
  name: {{ include "crib.fullname" . }}-repositories
{{- end }}
{{- end }}

{{/* Repositories without a port of their own are reached over https. */}}
{{- define "helm.egress" -}}
{{- $urls := list }}
{{- range .Values.repositories }}
{{- $urls = append $urls (.url | replace "oci://" "https://") }}
{{- end }}
{{- range concat (.Values.allowedRepositoryHosts | default list) (.Values.tokenHosts | default list) }}
{{- $urls = append $urls (printf "https://%s" .) }}
{{- end }}
{{- range .Values.plainHTTPRegistries }}
{{- $urls = append $urls (printf "http://%s" .) }}
{{- end }}
{{- if or .Values.repositoriesClaim .Values.repositoriesSecret }}
{{- $urls = append $urls "https://repositories" }}
{{- end }}
{{- $ports := list }}
{{- range $urls }}
{{- $ports = append $ports (include "crib.port" . | int) }}
{{- end }}
{{- uniq $ports | toYaml }}
{{- end }}
