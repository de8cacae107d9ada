{{/*
crib.server renders every object of a server's chart: those of the read server
and, with write.enabled, those of the write server.
*/}}
{{- define "crib.server" -}}
{{- include "crib.key" . }}
{{- include "crib.each" (list . "crib.objects") }}
{{- end }}

{{/*
crib.each renders a template for each server. What it hands over, "the server",
is what Helm hands to templates, and

  Access      read or write
  Name        of its objects
  Own         the values that each of the two has for itself
  Namespaces  where its tools may work; everywhere if empty
  Tools       what its tools are called and need: files/, generated from the program

A chart NAME defines NAME.tools, the file of Tools, and NAME.args, NAME.mounts,
NAME.volumes and NAME.egress; each is handed the server.
*/}}
{{- define "crib.each" -}}
{{- $root := index . 0 }}
{{- $template := index . 1 }}
{{- $values := $root.Values }}
{{- range $access := ternary (list "read" "write") (list "read") $values.write.enabled }}
{{- $write := eq $access "write" }}
{{- $own := ternary $values.write $values $write }}
{{- $nearby := and (hasKey $values "clusterWide") (not $values.clusterWide) }}
{{- $server := dict
      "Access" $access
      "Name" (include "crib.fullname" $root | printf (ternary "%s-write" "%s" $write))
      "Own" $own
      "Namespaces" (coalesce $own.namespaces $values.namespaces (ternary (list $root.Release.Namespace) list $nearby))
      "Values" $values "Release" $root.Release "Chart" $root.Chart "Capabilities" $root.Capabilities }}
{{- $file := include (printf "%s.tools" $root.Chart.Name) $server | printf "files/%s.yaml" }}
{{- $_ := set $server "Tools" ($root.Files.Get $file | fromYaml) }}
{{- include $template $server }}
{{- end }}
{{- end }}

{{- define "crib.objects" -}}
{{- include "crib.check" . }}
{{- range $kind := list "identity" "rules" "callers" "deployment" "service" "scaling" "networkpolicy" "remotemcpserver" }}
{{- include (printf "crib.%s" $kind) $ }}
{{- end }}
{{- end }}

{{- define "crib.check" -}}
{{- if not .Values.write.enabled }}
{{- range $key := list "callers" "namespaces" "audience" }}
{{- if get $.Values.write $key }}
{{- fail (printf "write.%s is set, but there is no write server: set write.enabled=true as well" $key) }}
{{- end }}
{{- end }}
{{- end }}
{{- if eq .Values.auth.mode "oidc" }}
{{- $_ := required "auth.mode=oidc needs auth.oidc.issuerURL, such as https://login.example.com" .Values.auth.oidc.issuerURL }}
{{- else if .Values.auth.oidc.issuerURL }}
{{- fail "auth.oidc.issuerURL is set, but callers are authenticated by the cluster: set auth.mode=oidc as well" }}
{{- end }}
{{- end }}
