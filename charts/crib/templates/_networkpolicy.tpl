{{/*
crib.networkpolicy lets callers and the monitoring in, and the server out to
names, to the API server, to the issuer of tokens and to what it serves.
*/}}
{{- define "crib.networkpolicy" }}
{{- $policy := .Values.networkPolicy }}
{{- if $policy.enabled }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "crib.metadata" (list . .Name .Release.Namespace) | nindent 2 }}
spec:
  podSelector:
    matchLabels:
      {{- include "crib.selector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    {{- with $policy.callers }}
    {{- include "crib.peers" (dict "way" "from" "peers" . "ports" (list "http")) | nindent 4 }}
    {{- end }}
    {{- with $policy.monitoring }}
    {{- include "crib.peers" (dict "way" "from" "peers" . "ports" (list "metrics")) | nindent 4 }}
    {{- end }}
  egress:
    {{- include "crib.peers" (dict "way" "to" "peers" $policy.dns "ports" (list 53) "udp" true) | nindent 4 }}
    {{- include "crib.peers" (dict "way" "to" "peers" $policy.apiServer.to "ports" $policy.apiServer.ports) | nindent 4 }}
    {{- with .Values.auth.oidc.issuerURL }}
    {{- include "crib.peers" (dict "way" "to" "ports" (list (include "crib.port" . | int))) | nindent 4 }}
    {{- end }}
    {{- with include (printf "%s.egress" .Chart.Name) . | fromYamlArray }}
    {{- include "crib.peers" (dict "way" "to" "peers" $policy.backend "ports" .) | nindent 4 }}
    {{- end }}
    {{- with $policy.extraEgress }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}
{{- end }}

{{/* crib.peers is one rule: peers, anybody if there are none, and TCP ports. */}}
{{- define "crib.peers" -}}
- ports:
    {{- range .ports }}
    - port: {{ . }}
      protocol: TCP
    {{- if $.udp }}
    - port: {{ . }}
      protocol: UDP
    {{- end }}
    {{- end }}
  {{- with .peers }}
  {{ $.way }}:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* crib.port is that of a URL. */}}
{{- define "crib.port" -}}
{{- $url := urlParse . }}
{{- regexFind ":[0-9]+$" $url.host | trimPrefix ":" | default (ternary "443" "80" (eq $url.scheme "https")) }}
{{- end }}
