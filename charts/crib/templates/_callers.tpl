{{/*
crib.callers grants tools by name: to call one is a verb of its own on
tools.toolcrib.dev, in the server's namespace. The role of all tools is there
whether or not a caller is named, for others to bind.
*/}}
{{- define "crib.callers" }}
{{- $all := printf "%s-callers" .Name }}
{{- include "crib.callrole" (list . $all .Tools.tools) }}
{{- $everything := list }}
{{- range $caller := .Own.callers }}
{{- if hasKey $caller "tools" }}
{{- $name := printf "%s-caller-%s" $.Name ($caller | toJson | sha256sum | trunc 8) }}
{{- include "crib.callrole" (list $ $name (include "crib.calltools" (list $ $caller) | fromJsonArray)) }}
{{- include "crib.binding" (list $ "Role" $name $.Release.Namespace (include "crib.subject" $caller)) }}
{{- else }}
{{- $everything = append $everything (include "crib.subject" $caller) }}
{{- end }}
{{- end }}
{{- if $everything }}
{{- include "crib.binding" (list . "Role" $all .Release.Namespace (join "\n" $everything)) }}
{{- end }}
{{- end }}

{{- define "crib.callrole" }}
{{- $rule := dict "apiGroups" (list "toolcrib.dev") "resources" (list "tools") "verbs" (list "call") "resourceNames" (index . 2) }}
{{- include "crib.role" (list (index . 0) "Role" (index . 1) (index . 0).Release.Namespace (list $rule)) }}
{{- end }}

{{/* crib.calltools are the tools of a caller, all of which must exist. */}}
{{- define "crib.calltools" -}}
{{- $server := index . 0 }}
{{- $caller := index . 1 }}
{{- range $tool := $caller.tools }}
{{- if not (has $tool $server.Tools.tools) }}
{{- fail (printf "caller %s is granted %s, which is no %s tool of this server; its tools are %s" $caller.name $tool $server.Access (join ", " $server.Tools.tools)) }}
{{- end }}
{{- end }}
{{- toJson $caller.tools }}
{{- end }}

{{- define "crib.subject" -}}
- kind: {{ .kind }}
  name: {{ .name | quote }}
  {{- if eq .kind "ServiceAccount" }}
  namespace: {{ toYaml .namespace }}
  {{- else }}
  apiGroup: rbac.authorization.k8s.io
  {{- end }}
{{- end }}
