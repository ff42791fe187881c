{{/* Most templates take a part: {root, component, role, config}, where config is that part's section of the values. */}}

{{- define "tulou.fullname" -}}
{{- if not (regexMatch "^[a-z][a-z0-9-]{0,34}$" .Release.Name) }}
{{- fail "names are made of the release's name: it begins with a letter and has at most 35 letters, digits and hyphens" }}
{{- end -}}
{{ .Release.Name }}
{{- end }}

{{/* The name of a part's Deployment and of all that belongs to it alone. */}}
{{- define "tulou.name" -}}
{{ include "tulou.fullname" .root }}-{{ .component }}{{ if has .role (list "worker" "migrate") }}-{{ .role }}{{ end }}
{{- end }}

{{- define "tulou.labels" -}}
app.kubernetes.io/name: tulou
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Values.images.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: tulou
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version | replace "+" "_" }}
{{- end }}

{{/* What selects a part's pods: nothing that changes from release to release. */}}
{{- define "tulou.selector" -}}
app.kubernetes.io/name: tulou
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
tulou.io/role: {{ .role }}
{{- end }}

{{/* An object's metadata, the annotations without their key apart. */}}
{{- define "tulou.metadata" -}}
name: {{ include "tulou.name" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "tulou.labels" .root | nindent 2 }}
  app.kubernetes.io/component: {{ .component }}
  tulou.io/role: {{ .role }}
{{- end }}

{{/* "registry/service:tag", unless the part names an image of its own. */}}
{{- define "tulou.image" -}}
{{- $images := .root.Values.images -}}
{{- $name := ternary "gateway" .component (has .component (list "portal" "test")) -}}
{{- .image | default (printf "%s/%s:%s" $images.registry $name ($images.tag | default .root.Chart.AppVersion)) -}}
{{- end }}

{{/* A name in the values with {service} filled in. */}}
{{- define "tulou.forService" -}}
{{ .name | replace "{service}" .component }}
{{- end }}

{{/* What every pod's template begins with. `checksums` are texts whose change must roll the pods. */}}
{{- define "tulou.podMetadata" -}}
metadata:
  labels:
    {{- include "tulou.selector" . | nindent 4 }}
    {{- with .root.Values.pods.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- with merge (dict) (.annotations | default dict) .root.Values.pods.annotations }}
  annotations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "tulou.podSpec" -}}
serviceAccountName: {{ .serviceAccount | default (printf "%s-%s" (include "tulou.fullname" .root) .component) }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  {{- with .root.Values.pods.user }}
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  # Large volumes are not walked through at every start.
  fsGroupChangePolicy: OnRootMismatch
  {{- end }}
  seccompProfile: {type: RuntimeDefault}
{{- with .root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with .root.Values.pods.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Instances of one Deployment stand on different nodes and in different zones; counted for each revision by itself. */}}
{{- define "tulou.spread" -}}
topologySpreadConstraints:
  {{- /* Zones are a wish only: where nodes bear no label of one, nothing would ever start. And control planes, cordoned and
  lost nodes are not to count as empty ones that must be filled first. */}}
  {{- range $key, $unless := dict "kubernetes.io/hostname" .root.Values.pods.spread "topology.kubernetes.io/zone" "ScheduleAnyway" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: {{ $unless }}
    nodeTaintsPolicy: Honor
    labelSelector:
      matchLabels:
        {{- include "tulou.selector" $ | nindent 8 }}
    matchLabelKeys: [pod-template-hash]
  {{- end }}
{{- end }}

{{- define "tulou.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  {{- with .root.Values.pods.user }}
  runAsUser: {{ . }}
  {{- end }}
  capabilities: {drop: [ALL]}
{{- end }}

{{/* The probes run inside the container, where no network policy and no mesh stands between. */}}
{{- define "tulou.probes" -}}
startupProbe:
  exec: {command: [probe, "{{ .live }}"]}
  periodSeconds: 2
  timeoutSeconds: 5
  failureThreshold: 60
livenessProbe:
  exec: {command: [probe, "{{ .live }}"]}
  periodSeconds: 15
  timeoutSeconds: 5
  failureThreshold: 4
readinessProbe:
  exec: {command: [probe, "{{ .ready }}"]}
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 2
{{- end }}

{{/* A Deployment up to its pod's spec. No instance goes before its successor is ready. */}}
{{- define "tulou.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  {{- include "tulou.metadata" . | nindent 2 }}
spec:
  {{- if not (dig "autoscaling" "enabled" false .config) }}
  replicas: {{ .config.replicas }}
  {{- end }}
  revisionHistoryLimit: 5
  selector:
    matchLabels:
      {{- include "tulou.selector" . | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxUnavailable: 0, maxSurge: 1}
{{- end }}

{{- define "tulou.serviceAccount" -}}
apiVersion: v1
kind: ServiceAccount
metadata:
  {{- include "tulou.metadata" . | nindent 2 }}
automountServiceAccountToken: false
{{- end }}

{{/* What keeps enough instances running: the autoscaler and the disruption budget. */}}
{{- define "tulou.scaling" -}}
{{- if dig "autoscaling" "enabled" false .config }}
{{- if lt (int .config.autoscaling.maxReplicas) (int .config.autoscaling.minReplicas) }}
{{- fail (printf "%s %s: autoscaling.maxReplicas is less than minReplicas" .component .role) }}
{{- end }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  {{- include "tulou.metadata" . | nindent 2 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "tulou.name" . }}
  minReplicas: {{ .config.autoscaling.minReplicas }}
  maxReplicas: {{ .config.autoscaling.maxReplicas }}
  metrics:
    - type: Resource
      resource:
        name: cpu
        target: {type: Utilization, averageUtilization: {{ .config.autoscaling.targetCPU }}}
  behavior:
    # Each instance less is a drain: not for every lull.
    scaleDown: {stabilizationWindowSeconds: 300}
{{- end }}
{{- if .root.Values.podDisruptionBudget.enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  {{- include "tulou.metadata" . | nindent 2 }}
spec:
  maxUnavailable: 1
  # An instance that is not ready serves nobody: it holds no drain up.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "tulou.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{/* The roots of a private certificate authority. */}}
{{- define "tulou.caMount" -}}
{{- if .Values.trustedCA.configMap }}
- {name: ca, mountPath: /etc/tulou/ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "tulou.caVolume" -}}
{{- if .Values.trustedCA.configMap }}
- name: ca
  configMap:
    name: {{ .Values.trustedCA.configMap }}
    items: [{key: {{ .Values.trustedCA.key }}, path: ca.crt}]
{{- end }}
{{- end }}

{{/* The issuer's keys as a file, where they are no URL. */}}
{{- define "tulou.jwks" -}}
{{- $jwks := .Values.oidc.jwks -}}
{{- if eq (empty $jwks.url) (empty $jwks.configMap) }}{{ fail "oidc.jwks: give either url or configMap" }}{{ end -}}
{{ $jwks.url | default "/etc/tulou/jwks/jwks.json" }}
{{- end }}

{{- define "tulou.jwksMount" -}}
{{- if .Values.oidc.jwks.configMap }}
- {name: jwks, mountPath: /etc/tulou/jwks, readOnly: true}
{{- end }}
{{- end }}

{{- define "tulou.jwksVolume" -}}
{{- if .Values.oidc.jwks.configMap }}
- name: jwks
  configMap:
    name: {{ .Values.oidc.jwks.configMap }}
    items: [{key: {{ .Values.oidc.jwks.key }}, path: jwks.json}]
{{- end }}
{{- end }}

{{- define "tulou.gatewayMounts" -}}
{{- include "tulou.jwksMount" . }}
{{- include "tulou.caMount" . }}
{{- if .Values.gateway.tls }}
- {name: tls, mountPath: /etc/tulou/tls, readOnly: true}
{{- end }}
{{- end }}
