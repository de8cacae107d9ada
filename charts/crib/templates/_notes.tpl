{{/* crib.notes says how to call each server and how to let others call it. */}}
{{- define "crib.notes" -}}
{{- include "crib.each" (list . "crib.note") | trim }}
{{- end }}

{{- define "crib.note" }}
{{- $ns := .Release.Namespace }}
{{- $tool := first .Tools.tools }}
{{- $token := eq .Values.auth.mode "kubernetes" }}
{{- $callers := ternary "write.callers" "callers" (eq .Access "write") }}

The {{ .Access }} server: http://{{ include "crib.host" . }}:8080/mcp
{{- if $token }}
  Call it with a token for its own audience:
    kubectl -n NAMESPACE create token SERVICEACCOUNT --audience={{ include "crib.audience" . }}
{{- else }}
  Call it with a token of {{ .Values.auth.oidc.issuerURL }} for the audience {{ include "crib.audience" . }}
{{- end }}
{{- if eq (include "crib.asCaller" .) "true" }}
  It asks the cluster as its callers, and may act as those alone that the values name: list them under {{ $callers }}.
{{- else }}
  Let somebody call all its tools, or list them under {{ $callers }} in the values:
    kubectl -n {{ $ns }} create rolebinding NAME --role={{ .Name }}-callers {{ ternary "--serviceaccount=NAMESPACE:SERVICEACCOUNT" "--user=USER" $token }}
{{- end }}
  Ask whether they may, where charts/locks is installed:
    kubectl -n {{ $ns }} auth can-i call tools.toolcrib.dev/{{ $tool }} --as={{ ternary "system:serviceaccount:NAMESPACE:SERVICEACCOUNT" "USER" $token }}
{{- if .Namespaces }}
  Its tools work in {{ join ", " .Namespaces }} alone.
{{- with .Tools.denied }}
  Of no namespace, and answered denied: {{ join ", " . }}
{{- end }}
{{- with .Tools.limited }}
  Denied what belongs to no namespace, such as nodes: {{ join ", " . }}
{{- end }}
{{- end }}
{{- if eq .Access "write" }}
  Every write waits for an approval: kubectl -n {{ $ns }} get approvals
{{- if not (.Capabilities.APIVersions.Has "toolcrib.dev/v1alpha1/Approval") }}
  This cluster knows no approvals yet, so every write is refused: install charts/locks once.
{{- end }}
{{- end }}
{{- end }}
