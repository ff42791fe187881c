{{/* The settings (TULOU_…) of one service's pods that are no secret, as YAML. Takes {root, component, service}. */}}
{{- define "tulou.settings" -}}
{{- $root := .root -}}
{{- $values := $root.Values -}}
{{- $settings := dict
  "TULOU_GRPC_ADDRESS" "0.0.0.0:50051"
  "TULOU_METRICS_ADDRESS" "0.0.0.0:9464"
  "TULOU_KEYRING_FILE" "/etc/tulou/keyring/keyring.json"
  "TULOU_OIDC_ISSUER" $values.oidc.issuer
  "TULOU_OIDC_AUDIENCE" $values.oidc.audience
  "TULOU_OIDC_JWKS" (include "tulou.jwks" $root)
  "TULOU_LOG_LEVEL" $values.logLevel
-}}
{{- with $values.otlp.endpoint }}
{{- $_ := set $settings "TULOU_OTLP_ENDPOINT" . }}
{{- $_ := set $settings "TULOU_TRACE_RATIO" (toString $values.otlp.traceRatio) }}
{{- end }}
{{- if $values.trustedCA.configMap }}
{{- $_ := set $settings "SSL_CERT_FILE" "/etc/tulou/ca/ca.crt" }}
{{- /* The exporters bring roots of their own and ask for no others but these. */}}
{{- $_ := set $settings "OTEL_EXPORTER_OTLP_CERTIFICATE" "/etc/tulou/ca/ca.crt" }}
{{- end }}
{{- if .service.blobs }}
{{- $_ := set $settings "TULOU_BLOB_DIR" "/var/lib/tulou" }}
{{- end }}
{{- range $called := .service.calls }}
{{- if not (hasKey $values.services $called) }}
{{- fail (printf "services.%s.calls: there is no service %q" $.component $called) }}
{{- end }}
{{- $_ := set $settings (printf "TULOU_%s_ADDRESS" (upper $called)) (printf "%s-%s:50051" (include "tulou.fullname" $root) $called) }}
{{- end }}
{{- range $place, $given := dict "env" $values.env (printf "services.%s.env" .component) .service.env }}
{{- range $name, $value := $given }}
{{- if or (hasKey $settings $name) (has $name (list "TULOU_DATABASE_URL" "TULOU_AMQP_URI" "TULOU_CALENDAR_FILES" "TULOU_DATABASE_POOL" "TULOU_DRAIN_DELAY" "TULOU_DRAIN_SECONDS")) }}
{{- fail (printf "%s.%s: the chart sets it" $place $name) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml (merge $settings (.service.env | default dict) $values.env) }}
{{- end }}

{{/* The secret settings, from Secrets made outside of the chart. */}}
{{- define "tulou.secretSettings" -}}
{{- $values := .root.Values -}}
- name: TULOU_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "tulou.forService" (dict "name" $values.database.secret "component" .component) }}
      key: {{ $values.database.key }}
- name: TULOU_AMQP_URI
  valueFrom:
    secretKeyRef:
      name: {{ include "tulou.forService" (dict "name" $values.broker.secret "component" .component) }}
      key: {{ $values.broker.key }}
{{- end }}

{{- define "tulou.serviceMounts" -}}
- {name: tmp, mountPath: /tmp}
- {name: keyring, mountPath: /etc/tulou/keyring, readOnly: true}
{{- include "tulou.jwksMount" .root }}
{{- include "tulou.caMount" .root }}
{{- end }}

{{- define "tulou.serviceVolumes" -}}
- name: tmp
  emptyDir: {sizeLimit: 256Mi}
- name: keyring
  secret:
    secretName: {{ include "tulou.forService" (dict "name" .root.Values.keyring.secret "component" .component) }}
    items: [{key: {{ .root.Values.keyring.key }}, path: keyring.json}]
{{- include "tulou.jwksVolume" .root }}
{{- include "tulou.caVolume" .root }}
{{- end }}
