{{/* The RPCs that stream, as a regular expression over their names: how long one takes says nothing of the service. */}}
{{- define "tulou.streams" -}}
WatchEvents|Upload.+|Download.+|FetchMaterial
{{- end }}
