{{- define "ifrud.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ifrud.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "ifrud.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ifrud.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ifrud.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ifrud.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "ifrud.labels" -}}
{{ include "ifrud.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "ifrud.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default (printf "%s%s" .Chart.AppVersion (.Values.gpu.enabled | ternary "-cuda" "")) }}
{{- end -}}
{{- end -}}

{{- define "ifrud.resources" -}}
{{- $resources := deepCopy .Values.resources -}}
{{- if .Values.gpu.enabled -}}
{{- $_ := mergeOverwrite $resources (dict "limits" (dict .Values.gpu.resource .Values.gpu.count)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "ifrud.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ifrud.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ifrud.envFrom" -}}
{{- range .Values.existingSecrets }}
- secretRef:
    name: {{ . }}
{{- end }}
{{- with .Values.envFrom }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Which Secrets the pod reads, in which versions: a hash of what they hold could be guessed. Nothing of it is known to
     `helm template`, nor of a Secret that is not there yet. */}}
{{- define "ifrud.secretVersions" -}}
{{- range append .Values.existingSecrets .Values.secretFiles.secretName | compact }}
{{- $secret := lookup "v1" "Secret" $.Release.Namespace . }}
{{ . }} {{ with $secret.metadata }}{{ .uid }} {{ .resourceVersion }}{{ end }}
{{- end }}
{{- end -}}
