{{- define "crib.deployment" }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "crib.metadata" (list . .Name .Release.Namespace) | nindent 2 }}
spec:
  {{- if not .Values.autoscaling.enabled }}
  replicas: {{ .Own.replicas }}
  {{- end }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  selector:
    matchLabels:
      {{- include "crib.selector" . | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "crib.labels" . | nindent 8 }}
        {{- with .Values.podLabels }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- with .Values.podAnnotations }}
      annotations:
        {{- toYaml . | nindent 8 }}
      {{- end }}
    spec:
      {{- include "crib.pod" . | nindent 6 }}
{{- end }}

{{- define "crib.pod" -}}
serviceAccountName: {{ .Name }}
automountServiceAccountToken: true
enableServiceLinks: false
# The calls in flight may go on for as long, and a moment is for the rest.
terminationGracePeriodSeconds: {{ add .Values.shutdown.delaySeconds .Values.shutdown.timeoutSeconds 5 }}
securityContext:
  runAsNonRoot: true
  {{- with .Values.runAsUser }}
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  {{- end }}
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: {{ .Chart.Name }}-mcp
    image: {{ include "crib.image" . }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    args:
      {{- include "crib.args" . | nindent 6 }}
    {{- with .Values.env }}
    env:
      {{- toYaml . | nindent 6 }}
    {{- end }}
    ports:
      - name: http
        containerPort: 8080
      - name: metrics
        containerPort: 9090
    readinessProbe:
      httpGet:
        path: /readyz
        port: http
      periodSeconds: 2
      timeoutSeconds: 3
      failureThreshold: 2
    livenessProbe:
      httpGet:
        path: /healthz
        port: http
      periodSeconds: 10
      timeoutSeconds: 5
    resources:
      {{- toYaml .Values.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: key
        mountPath: /etc/toolcrib/key
        readOnly: true
      {{- if .Values.auth.oidc.caSecret }}
      - name: issuer
        mountPath: /etc/toolcrib/issuer
        readOnly: true
      {{- end }}
      {{- with include (printf "%s.mounts" .Chart.Name) . | trim }}
      {{- . | nindent 6 }}
      {{- end }}
      {{- with .Values.extraVolumeMounts }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
volumes:
  - name: key
    secret:
      secretName: {{ include "crib.keyname" . | toYaml }}
      defaultMode: 0440
  {{- with .Values.auth.oidc.caSecret }}
  - name: issuer
    secret:
      secretName: {{ toYaml . }}
      defaultMode: 0440
  {{- end }}
  {{- with include (printf "%s.volumes" .Chart.Name) . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
  {{- with .Values.extraVolumes }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- range $key := list "imagePullSecrets" "nodeSelector" "affinity" "tolerations" "priorityClassName" }}
{{- with get $.Values $key }}
{{ $key }}: {{ toJson . }}
{{- end }}
{{- end }}
{{- with .Values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  - {{ merge (dict "labelSelector" (dict "matchLabels" (include "crib.selector" $ | fromYaml))) . | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end }}

{{- define "crib.args" -}}
- --access={{ .Access }}
- --http=:8080
- --metrics=:9090
- {{ include "crib.hosts" . | printf "--allowed-hosts=%s" | quote }}
- --auth={{ .Values.auth.mode }}
- {{ include "crib.audience" . | printf "--audience=%s" | quote }}
{{- with .Own.resourceURL }}
- {{ printf "--resource-url=%s" . | quote }}
{{- end }}
{{- if eq .Values.auth.mode "oidc" }}
{{- include "crib.oidc" .Values.auth.oidc }}
{{- end }}
{{- if eq (include "crib.asCaller" .) "true" }}
- --identity=caller
{{- end }}
- --locks-namespace={{ .Release.Namespace }}
{{- if eq .Access "write" }}
- --gate=approval
{{- end }}
- --key-file=/etc/toolcrib/key/key
- --shutdown-delay={{ .Values.shutdown.delaySeconds }}s
- --shutdown-timeout={{ .Values.shutdown.timeoutSeconds }}s
- --log-level={{ .Values.logLevel }}
- --log-format=json
{{- with include (printf "%s.args" .Chart.Name) . | trim }}
{{ . }}
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{- define "crib.oidc" }}
- {{ printf "--oidc-issuer-url=%s" .issuerURL | quote }}
{{- range $flag, $value := dict "username-claim" .usernameClaim "username-prefix" .usernamePrefix "groups-claim" .groupsClaim "groups-prefix" .groupsPrefix }}
{{- with $value }}
- {{ printf "--oidc-%s=%s" $flag . | quote }}
{{- end }}
{{- end }}
{{- if .caSecret }}
- --oidc-ca-file=/etc/toolcrib/issuer/ca.crt
{{- end }}
{{- end }}

{{/* crib.hosts are the names by which the Service is known, and the operator's. */}}
{{- define "crib.hosts" -}}
{{- $short := printf "%s.%s" .Name .Release.Namespace }}
{{- $names := list .Name $short (printf "%s.svc" $short) (printf "%s.svc.%s" $short .Values.clusterDomain) }}
{{- with .Own.resourceURL }}
{{- $names = append $names (urlParse .).hostname }}
{{- end }}
{{- concat $names (.Values.allowedHosts | default list) | uniq | join "," }}
{{- end }}
