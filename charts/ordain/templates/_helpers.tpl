{{/* The name of all objects. */}}
{{- define "ordain.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains "ordain" .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-ordain" .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Cluster-scoped objects of two releases in two namespaces must not meet. */}}
{{- define "ordain.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "ordain.fullname" .) -}}
{{- end -}}

{{/* What never changes in a release: Deployments cannot change their selector. The daemon knows its own cluster-scoped objects by the name. */}}
{{- define "ordain.selectorLabels" -}}
app.kubernetes.io/name: ordain
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: daemon
{{- end -}}

{{- define "ordain.labels" -}}
app.kubernetes.io/name: ordain
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "ordain.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ordain.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ordain.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Whether the user brings rules; else the chart's own are mounted. */}}
{{- define "ordain.hasRules" -}}
{{- if or .Values.rules.inline .Values.rules.configMaps -}}true{{- end -}}
{{- end -}}

{{/* The name of the ConfigMap that the chart makes of rules, if there are any for it. */}}
{{- define "ordain.rulesConfigMap" -}}
{{- if or .Values.rules.inline (not .Values.rules.configMaps) -}}{{ include "ordain.fullname" . }}-rules{{- end -}}
{{- end -}}
