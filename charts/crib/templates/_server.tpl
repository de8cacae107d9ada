{{/*
crib.server renders every object of a server's chart: those of the read server
and, with write.enabled, those of the write server.
*/}}
{{- define "crib.server" -}}
{{- include "crib.check" . }}
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
{{- $alone := and (hasKey $values "clusterWide") (not $values.clusterWide) }}
{{- $namespaces := coalesce (ternary $values.writeNamespaces list $write) $values.namespaces (ternary (list $root.Release.Namespace) list $alone) }}
{{- $asCaller := eq (include "crib.asCaller" $root) "true" }}
{{- $server := dict
      "Access" $access
      "Name" (include "crib.fullname" $root | printf (ternary "%s-write" "%s" $write))
      "Own" $own
      "Namespaces" (ternary list $namespaces $asCaller)
      "Values" $values "Release" $root.Release "Chart" $root.Chart "Capabilities" $root.Capabilities }}
{{- $file := include (printf "%s.tools" $root.Chart.Name) $server | printf "files/%s.yaml" }}
{{- $_ := set $server "Tools" ($root.Files.Get $file | fromYaml) }}
{{- include $template $server }}
{{- end }}
{{- end }}

{{- define "crib.objects" -}}
{{- range $kind := list "identity" "rules" "callers" "deployment" "service" "scaling" "networkpolicy" "remotemcpserver" }}
{{- include (printf "crib.%s" $kind) $ }}
{{- end }}
{{- end }}
