{{/* Rules of network policies. A peer in the values is {cidr}, or {namespace} with or without {labels} of its pods. */}}

{{- define "tulou.peers" -}}
{{- range . }}
{{- if .cidr }}
- ipBlock: {cidr: {{ .cidr }}}
{{- else }}
- namespaceSelector:
    matchLabels: {kubernetes.io/metadata.name: {{ .namespace }}}
  {{- with .labels }}
  podSelector:
    matchLabels:
      {{- toYaml . | nindent 6 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Takes {peers, ports}. */}}
{{- define "tulou.toOutside" -}}
- to:
    {{- include "tulou.peers" .peers | nindent 4 }}
  ports:
    {{- range .ports }}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{- define "tulou.toDns" -}}
- to:
    {{- include "tulou.peers" .Values.networkPolicy.dns.peers | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dns.ports }}
    - {protocol: UDP, port: {{ . }}}
    - {protocol: TCP, port: {{ . }}}
    {{- end }}
{{- end }}

{{/* One peer: the pods of this release that the other labels name. Takes {root, labels}. */}}
{{- define "tulou.ourPods" -}}
- podSelector:
    matchLabels:
      app.kubernetes.io/name: tulou
      app.kubernetes.io/instance: {{ .root.Release.Name }}
      {{- toYaml .labels | nindent 6 }}
{{- end }}

{{- define "tulou.fromPrometheus" -}}
{{- with .Values.networkPolicy.prometheus }}
- from:
    {{- include "tulou.peers" . | nindent 4 }}
  ports: [{protocol: TCP, port: metrics}]
{{- end }}
{{- end }}

{{/* What servers, workers and the gateway reach outside, as far as it is configured. */}}
{{- define "tulou.toCollector" -}}
{{- if .Values.otlp.endpoint }}
{{- include "tulou.toOutside" .Values.networkPolicy.otlp }}
{{- end }}
{{- end }}

{{- define "tulou.toIssuer" -}}
{{- if .Values.oidc.jwks.url }}
{{- include "tulou.toOutside" .Values.networkPolicy.oidc }}
{{- end }}
{{- end }}

{{/* A policy up to its rules. */}}
{{- define "tulou.policy" -}}
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  {{- include "tulou.metadata" . | nindent 2 }}
spec:
  policyTypes: [Ingress, Egress]
  podSelector:
    matchLabels:
      {{- include "tulou.selector" . | nindent 6 }}
{{- end }}
