{{- define "warmstart.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Room is left for "-headless" and for the ordinal of a pod. */}}
{{- define "warmstart.fullname" -}}
{{- $name := include "warmstart.name" . }}
{{- if .Values.fullnameOverride }}{{ $name = .Values.fullnameOverride }}
{{- else if not (contains $name .Release.Name) }}{{ $name = printf "%s-%s" .Release.Name $name }}
{{- else }}{{ $name = .Release.Name }}
{{- end }}
{{- $name | trunc 52 | trimSuffix "-" }}
{{- end }}

{{/* What never changes: selectors must not. */}}
{{- define "warmstart.selectorLabels" -}}
app.kubernetes.io/name: {{ include "warmstart.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: server
{{- end }}

{{- define "warmstart.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "warmstart.labels" -}}
{{ include "warmstart.commonLabels" . }}
{{ include "warmstart.selectorLabels" . }}
{{- end }}

{{/* A digest says all; else the tag, which is the server's version, of CUDA's image
where there is a GPU. */}}
{{- define "warmstart.image" -}}
{{- $tag := .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (.Values.gpu.enabled | ternary "-cuda" "")) }}
{{- .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ $tag }}{{ end }}
{{- end }}

{{/* With a GPU that was asked for, a server that finds none is to say so. */}}
{{- define "warmstart.device" -}}
{{- .Values.server.device | default (.Values.gpu.enabled | ternary "cuda" "auto") }}
{{- end }}

{{/* The restricted profile of Pod Security. 10001 is the image's user. */}}
{{- define "warmstart.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "warmstart.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}
