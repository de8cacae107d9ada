{{/*
crib.check refuses values that each make sense and do not together, which a
schema can only refuse without saying what to do.
*/}}
{{- define "crib.check" -}}
{{- $v := .Values }}
{{- $asCaller := eq (include "crib.asCaller" .) "true" }}
{{- if not $v.write.enabled }}
{{- include "crib.idle" (list "there is no write server: set write.enabled=true as well" (dict
      "write.callers" $v.write.callers
      "write.audience" $v.write.audience
      "write.resourceURL" $v.write.resourceURL
      "write.remoteMCPServer.name" $v.write.remoteMCPServer.name
      "writeNamespaces" $v.writeNamespaces
      "rbac.writeExtraRules" ($v.rbac).writeExtraRules
      "allowedURLHosts" $v.allowedURLHosts
      "allowedRepositoryHosts" $v.allowedRepositoryHosts)) }}
{{- end }}
{{- if $asCaller }}
{{- include "crib.idle" (list "the cluster is asked as each caller, who has rights of their own: set identity.mode=server or leave it out" (dict
      "namespaces" $v.namespaces
      "writeNamespaces" $v.writeNamespaces
      "clusterWide" $v.clusterWide
      "rbac.extraRules" $v.rbac.extraRules
      "rbac.writeExtraRules" $v.rbac.writeExtraRules)) }}
{{- else }}
{{- include "crib.idle" (list "the cluster is asked as the server: set identity.mode=caller as well" (dict
      "identity.users" ($v.identity).users
      "identity.groups" ($v.identity).groups
      "identity.extras" ($v.identity).extras)) }}
{{- end }}
{{- if $v.clusterWide }}
{{- include "crib.idle" (list "the tools work in the whole cluster: leave out clusterWide or this" (dict "namespaces" $v.namespaces)) }}
{{- end }}
{{- if eq $v.auth.mode "oidc" }}
{{- $_ := required "auth.mode=oidc needs auth.oidc.issuerURL, such as https://login.example.com" $v.auth.oidc.issuerURL }}
{{- else }}
{{- include "crib.idle" (list "callers are authenticated by the cluster: set auth.mode=oidc as well" (dict
      "auth.oidc.issuerURL" $v.auth.oidc.issuerURL
      "auth.oidc.groupsClaim" $v.auth.oidc.groupsClaim
      "auth.oidc.caSecret" $v.auth.oidc.caSecret)) }}
{{- end }}
{{- range $of := list "labels" "podLabels" }}
{{- range $label, $_ := get $v $of | default dict }}
{{- if regexMatch "^(app\\.kubernetes\\.io|helm\\.sh)/" $label }}
{{- fail (printf "%s holds %s, and the chart sets the labels of app.kubernetes.io and helm.sh itself" $of $label) }}
{{- end }}
{{- end }}
{{- end }}
{{- include "crib.apart" (list "podLabels" $v.podLabels "labels" $v.labels) }}
{{- include "crib.apart" (list "serviceMonitor.labels" $v.serviceMonitor.labels "labels" $v.labels) }}
{{- range $annotation, $_ := $v.annotations }}
{{- if hasPrefix "toolcrib.dev/" $annotation }}
{{- fail (printf "annotations holds %s, and the chart sets the annotations of toolcrib.dev itself" $annotation) }}
{{- end }}
{{- end }}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) }}
{{- fail (printf "autoscaling.minReplicas=%v is more than autoscaling.maxReplicas=%v" $v.autoscaling.minReplicas $v.autoscaling.maxReplicas) }}
{{- end }}
{{- end }}

{{/* crib.idle refuses values that would do nothing. It takes a list: why, and the values. */}}
{{- define "crib.idle" -}}
{{- $why := index . 0 }}
{{- range $name, $value := index . 1 }}
{{- if $value }}
{{- fail (printf "%s is set, but %s" $name $why) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
crib.apart refuses labels that two values give to one object. It takes a list:
the name of the one and its labels, and those of the other.
*/}}
{{- define "crib.apart" -}}
{{- $others := index . 3 }}
{{- range $label, $_ := index . 1 }}
{{- if hasKey ($others | default dict) $label }}
{{- fail (printf "%s and %s both hold %s: leave it out of one of them" (index $ 0) (index $ 2) $label) }}
{{- end }}
{{- end }}
{{- end }}

{{/*
crib.bare refuses a URL with credentials in it, which whoever sees the release
could read. It takes a list: the value's name, the URL, and where they belong.
*/}}
{{- define "crib.bare" -}}
{{- if (urlParse (index . 1)).userinfo }}
{{- fail (printf "%s holds credentials, which whoever sees the release could read: put them into %s" (index . 0) (index . 2)) }}
{{- end }}
{{- end }}
