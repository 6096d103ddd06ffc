{{/*
The rights to be given, as JSON: {"cluster": [rules], "namespaces": {"name": [rules]}}.

They are taken from what `ordain rbac` printed (`rbac.manifest`, or for the chart's own rule files/rbac*.yaml), with `rbac.clusterRules` and
`rbac.namespaceRules` added. The Lease is not taken from there: it is called after the release, and so is its Role; and so is the ConfigMap
that says which rules may hold something.
*/}}
{{- define "ordain.rights" -}}
{{- $own := .Release.Namespace -}}
{{- $text := .Values.rbac.manifest -}}
{{- $given := or $text (include "ordain.hasRules" .) -}}
{{- if not $given -}}
  {{- $text = .Files.Get (ternary "files/rbac-namespaced.yaml" "files/rbac.yaml" (not (empty .Values.namespaces))) -}}
{{- else if not (or $text .Values.rbac.clusterRules .Values.rbac.namespaceRules) -}}
  {{- fail (printf "rules are given, but no rights for them: print them with `ordain rbac --rules RULES --state-namespace %s%s > rbac.yaml` and add `--set-file rbac.manifest=rbac.yaml`; if they come from elsewhere, set rbac.create=false" $own (include "ordain.namespaceOptions" .)) -}}
{{- end -}}
{{- if and .Values.rbac.namespaceRules (not .Values.namespaces) -}}
  {{- fail "rbac.namespaceRules is given, but no namespaces: write rbac.clusterRules, or name the namespaces" -}}
{{- end -}}
{{- $cluster := list -}}
{{- $places := dict -}}
{{- range $document := splitList "\n---\n" (printf "\n%s\n" $text) -}}
  {{- $object := fromYaml $document -}}
  {{- with $object.Error -}}{{- fail (printf "rbac.manifest is not what `ordain rbac` prints: %s" .) -}}{{- end -}}
  {{- if eq ($object.kind | default "") "ClusterRole" -}}
    {{- $cluster = concat $cluster ($object.rules | default list) -}}
  {{- else if eq ($object.kind | default "") "Role" -}}
    {{- $namespace := $object.metadata.namespace -}}
    {{- $targets := list $namespace -}}
    {{- if not $given -}}
      {{- /* The chart's own files are printed for these two names. */ -}}
      {{- $targets = ternary (list $own) $.Values.namespaces (eq $namespace "ordain-system") -}}
    {{- else if and (ne $namespace $own) (not (has $namespace $.Values.namespaces)) -}}
      {{- fail (printf "rbac.manifest has a Role in namespace %s, which is neither the release's (%s) nor one of `namespaces`: print it with `ordain rbac --rules RULES --state-namespace %s%s`" $namespace $own $own (include "ordain.namespaceOptions" $)) -}}
    {{- end -}}
    {{- $rules := list -}}
    {{- range $object.rules -}}
      {{- $rule := . -}}
      {{- with .resourceNames -}}
        {{- if hasSuffix "-lifetimes" (first .) -}}
          {{- $rule = merge (dict "resourceNames" (list (printf "%s-lifetimes" (include "ordain.fullname" $)))) $rule -}}
        {{- end -}}
      {{- end -}}
      {{- /* The daemon's own Lease has rights of its own in the chart; those of a rule about Leases stay. */ -}}
      {{- $ownLease := and (eq (first .apiGroups) "coordination.k8s.io") (or .resourceNames (eq (join "," .verbs) "create")) -}}
      {{- if not $ownLease -}}{{- $rules = append $rules $rule -}}{{- end -}}
    {{- end -}}
    {{- range $targets -}}
      {{- $_ := set $places . (concat (get $places . | default list) $rules) -}}
    {{- end -}}
  {{- else if and $object (not (has $object.kind (list "ClusterRoleBinding" "RoleBinding"))) -}}
    {{- fail (printf "rbac.manifest is not what `ordain rbac` prints: it has a %s" ($object.kind | default "document without kind")) -}}
  {{- end -}}
{{- end -}}
{{- $cluster = concat $cluster .Values.rbac.clusterRules -}}
{{- range .Values.namespaces -}}
  {{- $_ := set $places . (concat (get $places . | default list) $.Values.rbac.namespaceRules) -}}
{{- end -}}
{{- dict "cluster" $cluster "namespaces" $places | toJson -}}
{{- end -}}

{{- define "ordain.namespaceOptions" -}}
{{- range .Values.namespaces }} --namespace {{ . }}{{ end -}}
{{- end -}}
