{{/* The RPCs that stream, as a regular expression over their names: how long one takes says nothing of the service. */}}
{{- define "tulou.streams" -}}
WatchEvents|Upload.+|Download.+|FetchMaterial
{{- end }}

{{/* The timers on which dates of law depend: silence counts as acceptance, deadlines move, publicity ends. */}}
{{- define "tulou.deadlineTimers" -}}
deemed acceptance|calendar|publicity
{{- end }}
