{{/*
crib.key is the secret that all replicas share. It is made once; an upgrade
finds it again. Where nothing can be looked up, as with helm template, it would
be another each time: name one of your own then.
*/}}
{{- define "crib.key" -}}
{{- if not .Values.key.existingSecret }}
{{- $name := include "crib.keyname" . }}
{{- $kept := dig "data" "key" "" (lookup "v1" "Secret" .Release.Namespace $name | default dict) }}
---
apiVersion: v1
kind: Secret
metadata:
  {{- include "crib.metadata" (list . $name .Release.Namespace) | nindent 2 }}
type: Opaque
data:
  key: {{ $kept | default (randAlphaNum 48 | b64enc) }}
{{- end }}
{{- end }}

{{- define "crib.keyname" -}}
{{ .Values.key.existingSecret | default (include "crib.fullname" . | printf "%s-key") }}
{{- end }}
