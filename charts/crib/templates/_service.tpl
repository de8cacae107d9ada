{{- define "crib.service" }}
---
apiVersion: v1
kind: Service
metadata:
  {{- include "crib.metadata" (list . .Name .Release.Namespace) | nindent 2 }}
spec:
  selector:
    {{- include "crib.selector" . | nindent 4 }}
  ports:
    - name: http
      port: 8080
      targetPort: http
    - name: metrics
      port: 9090
      targetPort: metrics
{{- if .Values.serviceMonitor.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  {{- include "crib.metadata" (list . .Name .Release.Namespace) | nindent 2 }}
    {{- with .Values.serviceMonitor.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  selector:
    matchLabels:
      {{- include "crib.selector" . | nindent 6 }}
  endpoints:
    - port: metrics
      interval: {{ .Values.serviceMonitor.interval }}
{{- end }}
{{- end }}
